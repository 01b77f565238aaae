"""Plain average of the experts (model soups, uniform)."""

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.mean import mean


@merge_method(
    title="Average",
    paper="https://arxiv.org/abs/2203.05482",
    formula="θ = θ_base + mean(τ)",
)
def average(task_vectors: Array) -> Array:
    """The mean of the task vectors, so that the group's weights are the mean of its experts."""
    return mean(task_vectors)
