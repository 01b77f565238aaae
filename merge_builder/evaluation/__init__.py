"""Evaluation: labelled rows through a runner, to scores in the ladder, and from scores to a rung."""

from merge_builder.evaluation.data import TaskData, load_data
from merge_builder.evaluation.document import evaluation_document
from merge_builder.evaluation.evaluate import Runner, evaluate, write_scores
from merge_builder.evaluation.goal import smallest_reaching
from merge_builder.evaluation.rows import Row
from merge_builder.evaluation.sizes import rungs_to_evaluate
from merge_builder.evaluation.summary import RungSummary, TaskSummary, summarise

__all__ = [
    "Row",
    "RungSummary",
    "Runner",
    "TaskData",
    "TaskSummary",
    "evaluate",
    "evaluation_document",
    "load_data",
    "rungs_to_evaluate",
    "smallest_reaching",
    "summarise",
    "write_scores",
]
