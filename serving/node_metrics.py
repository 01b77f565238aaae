"""The metrics of all replicas of a node by one scrape, whichever of them is asked.

Replicas that share a port cannot be scraped one by one: each scrape would meet any of them. So each replica also
listens on a socket in a folder that they share, and the one that is asked asks them all, itself included.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

log = logging.getLogger("mergeladder.metrics")
LABEL = "replica"
_PATIENCE_S = 2.0


@dataclass(frozen=True)
class Replica:
    """One of the replicas of a node: its name among them, and the folder, theirs alone, that they find each other in.

    The path of `folder` and the name have at most about 100 characters together, as sockets do.
    """

    folder: Path
    name: str

    @property
    def socket(self) -> Path:
        """Where it answers with its metrics."""
        return self.folder / f"{self.name}.sock"


@asynccontextmanager
async def telling(replica: Replica, exposition: Callable[[], bytes]) -> AsyncIterator[None]:
    """Answer with `exposition()` whoever connects to the replica's socket, for the length of a block."""

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError), closing(writer):
            writer.write(await asyncio.to_thread(exposition))
            await writer.drain()

    replica.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    replica.socket.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(tell, replica.socket)
    try:
        yield
    finally:
        server.close()
        replica.socket.unlink(missing_ok=True)


async def gather(folder: Path) -> bytes:
    """The metrics of every replica in `folder`, each series with its replica's name as the label `replica`.

    The socket of a replica that died is removed; one that does not answer in time is left out, and logged.
    """
    sockets = sorted(folder.glob("*.sock"))
    texts = await asyncio.gather(*map(_ask, sockets))
    told = {socket.stem: text for socket, text in zip(sockets, texts, strict=True) if text is not None}
    return await asyncio.to_thread(merge, told)


def merge(expositions: Mapping[str, str]) -> bytes:
    """Several registries' texts, by their replica's name, as one; each series is told with that name as a label."""
    families: dict[str, Metric] = {}
    for name, text in expositions.items():
        for family in text_string_to_metric_families(text):
            merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            merged.samples += [sample._replace(labels={LABEL: name, **sample.labels}) for sample in family.samples]
    registry = CollectorRegistry()
    registry.register(_Families(families.values()))
    return generate_latest(registry)


async def _ask(socket: Path) -> str | None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_unix_connection(socket)
            with closing(writer):
                return (await reader.read()).decode()
    except (ConnectionRefusedError, FileNotFoundError):
        socket.unlink(missing_ok=True)
    except (OSError, TimeoutError) as error:
        log.warning("the metrics of replica %s are missing: %s", socket.stem, error or type(error).__name__)
    return None


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families
