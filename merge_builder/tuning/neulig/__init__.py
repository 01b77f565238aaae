"""NeuLig (arXiv 2503.01268): a small network that weighs models by their own features, and the router made of it."""

from merge_builder.tuning.neulig.losses import Examples, Loss, neulig_loss, routing_loss
from merge_builder.tuning.neulig.merging import alignment_scores, ensemble, merge
from merge_builder.tuning.neulig.portland import Portland, zeros
from merge_builder.tuning.neulig.router_report import RouterReport
from merge_builder.tuning.neulig.routing import add_router, train_router
from merge_builder.tuning.neulig.training import Schedule, train

__all__ = [
    "Examples",
    "Loss",
    "Portland",
    "RouterReport",
    "Schedule",
    "add_router",
    "alignment_scores",
    "ensemble",
    "merge",
    "neulig_loss",
    "routing_loss",
    "train",
    "train_router",
    "zeros",
]
