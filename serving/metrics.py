"""The server's own Prometheus metrics: counted here, in base units, with labels bounded by the ladder's tasks.

metrics = Metrics(tasks=["sst2", "mnli"])
metrics.requests.labels(metrics.task("sst2"), "200").inc()
prometheus_client.generate_latest(metrics.registry)
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

OTHER = "other"
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_CONFIDENCES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_TOKENS = (16, 64, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


class Metrics:
    """Every counter, histogram and gauge that the server itself moves, in a registry of its own."""

    def __init__(self, tasks: Iterable[str]) -> None:
        self._tasks = frozenset(tasks)
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"mergeladder_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"mergeladder_{name}", text, labels, buckets=buckets, registry=self.registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"mergeladder_{name}", text, registry=self.registry)

        self.requests = counter("requests_total", "Requests, once for each task asked.", "task", "code")
        self.inputs = counter("inputs_total", "Inputs answered.", "task")
        self.tokens = counter("tokens_total", "Tokens of the inputs answered, after truncation.", "task")
        self.routed = counter(
            "routed_total", "Inputs that named no task, by the task that the router gave most to.", "task"
        )
        self.router_confidence = histogram(
            "router_confidence", "Of these inputs, the router's confidence in that task.", _CONFIDENCES
        )
        self.rejected = counter("rejected_total", "Requests turned away unread or unqueued.", "reason")
        self.cancelled = counter(
            "cancelled_total",
            "Inputs given up: by their client, in the queue or in inference, or as late.",
            "stage",
        )
        self.request_duration = histogram(
            "request_duration_seconds", "From the first byte to the last.", _SECONDS, "task"
        )
        self.queue_duration = histogram("queue_duration_seconds", "An input's wait for its batch.", _SECONDS)
        self.tokenize_duration = histogram("tokenize_duration_seconds", "A request's tokenisation.", _SECONDS)
        self.inference_duration = histogram(
            "inference_duration_seconds", "A batch's time in the engine.", _SECONDS, "rung"
        )
        self.reconstruct_duration = histogram(
            "reconstruct_duration_seconds", "Of that, making weights from masked versions.", _SECONDS, "rung"
        )
        self.batch_size = histogram("batch_size", "Inputs in a batch.", _COUNTS)
        self.batch_tokens = histogram("batch_tokens", "Tokens in a batch, before fan-out.", _TOKENS)
        self.batch_tasks = histogram("batch_tasks", "Distinct tasks in a batch.", _COUNTS)
        self.batch_padding_ratio = histogram(
            "batch_padding_ratio",
            "Share of padding in the batch if each input were padded to its longest; packed batches compute none.",
            _SHARES,
        )
        self.rung_swaps = counter("rung_swaps_total", "Changes of rung, by how they ended: done or failed.", "result")
        self.swap_duration = histogram("swap_duration_seconds", "A change of rung, its reading included.", _SECONDS)
        self.queue_depth = gauge("queue_depth", "Inputs that wait for a batch.")
        self.inflight = gauge("inflight_requests", "Requests being answered.")
        for series, names in ((self.cancelled, ("queue", "inference", "late")), (self.rung_swaps, ("done", "failed"))):
            for name in names:
                series.labels(name)  # 0 from the start on, so that rates see the first one

    def task(self, name: str) -> str:
        """`name` as a label: what no task of the ladder is called becomes `other`."""
        return name if name in self._tasks else OTHER
