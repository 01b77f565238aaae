"""Gauges that tell of the rung: read from the engine at every scrape, so that they are never out of date."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serving.working_memory import WorkingMemory

if TYPE_CHECKING:
    from serving.engine.engine import Engine
    from serving.service import Service


class RungCollector(Collector):
    """Describes a service to its metrics registry."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._working = WorkingMemory(service.engine)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family for each gauge."""
        service, rung = self._service, self._service.engine.rung
        info = {"rung": rung.name, "revision": service.manifest.revision, "device": service.engine.device}
        yield _gauge("rung_info", "The rung that answers.", 1, info)
        yield _gauge("rung_scale", "Its size: 1 is one shared model, M is all experts.", rung.size.ratio)
        used = GaugeMetricFamily(
            "mergeladder_memory_used_bytes",
            "Weights as they are held, by who uses them, and the most that batches have needed beside them.",
            labels=["kind"],
        )
        chooser = service.reader.chooser
        router = {} if chooser is None else {"router": chooser.router.nbytes}
        for kind, count in (weights_held(service.engine) | router | {"activations": self._working.bytes()}).items():
            used.add_metric([kind], count)
        yield used
        saved = service.manifest.rungs[0].bytes - rung.size.bytes
        yield _gauge("memory_saved_bytes", "What all experts would need beyond this rung, as stored.", saved)
        if service.choice.budget is not None:
            yield _gauge("memory_budget_bytes", "What the rung was chosen to fit.", service.choice.budget)
        yield _gauge("ready", "1 once an inference was done and until the shutdown begins.", service.ready)
        yield _gauge("build_info", "The version that runs.", 1, {"version": version("mergeladder")})


def weights_held(engine: "Engine") -> dict[str, int]:
    """Bytes of the weights as they are held: heads, block versions of one task alone, and what several tasks share.

    To these belong the buffers in which weights of masked versions are made.
    """
    rung, loaded, each = engine.rung, engine.bytes_loaded, engine.bytes_by_version
    alone = {(block, v.id) for block, tasks in rung.versions.items() for v in tasks.values() if len(v.tasks) == 1}
    own = sum(count for at, count in each.items() if at in alone)
    return {"shared": loaded["blocks"] - own + loaded["scratch"], "task": own, "head": loaded["heads"]}


def _gauge(name: str, text: str, value: float, labels: dict[str, str] | None = None) -> GaugeMetricFamily:
    labels = labels or {}
    family = GaugeMetricFamily(f"mergeladder_{name}", text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family
