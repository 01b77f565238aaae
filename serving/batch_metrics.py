"""What the metrics are told of each batch."""

from collections.abc import Sequence

from serving.engine.types import BatchOutput, Input
from serving.metrics import Metrics


def observe_batch(metrics: Metrics, batch: Sequence[Input], output: BatchOutput, inference_s: float) -> None:
    """Count a batch that took `inference_s` seconds."""
    metrics.inference_duration.labels(output.rung.name).observe(inference_s)
    if output.rung.bases:  # some of its versions are masked
        metrics.reconstruct_duration.labels(output.rung.name).observe(output.reconstruct_s)
    metrics.batch_size.observe(len(batch))
    metrics.batch_tokens.observe(output.tokens)
    padded = len(batch) * max(item.length for item in batch)
    metrics.batch_padding_ratio.observe(1 - output.tokens / padded)
    metrics.batch_tasks.observe(len({task for item in batch for task in item.tasks}))
