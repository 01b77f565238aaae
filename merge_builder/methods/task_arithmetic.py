"""Task arithmetic in the mean convention of FlexMerge."""

from merge_builder.methods.contract import Array, merge_method
from merge_builder.methods.mean import mean
from merge_builder.methods.scale import Scale, scale_for


@merge_method(
    title="Task arithmetic",
    paper="https://arxiv.org/abs/2212.04089",
    formula="θ = θ_base + scale · mean(τ)",
)
def task_arithmetic(task_vectors: Array, *, scale: Scale = 1.0) -> Array:
    """`scale` times the MEAN of the task vectors.

    FlexMerge (arXiv 2505.23209) takes the mean; mergekit and FusionBench scale the SUM, so their `lambda` is
    `scale / n` here, for n members.
    """
    merged = mean(task_vectors)
    merged *= scale_for(scale, len(task_vectors))
    return merged
