"""A short mixed load over HTTP, and what its clients saw."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from merge_builder.progress import Progress

Request = tuple[str, dict[str, Any]]  # a path and a JSON body


@dataclass(frozen=True)
class Load:
    """Seconds that every answered request took, the seconds that all took together, and the requests that failed."""

    latencies: tuple[float, ...]
    seconds: float
    failed: int

    def percentile(self, percent: float) -> float:
        """Seconds within which `percent` of the requests were answered."""
        return float(np.percentile(self.latencies, percent))


def mixed_load(url: str, requests: Sequence[Request], seconds: float, clients: int, progress: Progress) -> Load:
    """Send `requests`, over and over, from `clients` that each wait for their answer, for `seconds`."""
    return asyncio.run(_run(url, requests, seconds, clients, progress))


async def _run(url: str, requests: Sequence[Request], seconds: float, clients: int, progress: Progress) -> Load:
    latencies: list[float] = []
    failed = 0
    total = max(1, round(seconds))
    started = time.perf_counter()

    async def client(number: int) -> None:
        nonlocal failed
        place = number
        while (now := time.perf_counter()) - started < seconds:
            path, body = requests[place % len(requests)]
            place += clients
            answer = await http.post(path, json=body)
            latencies.append(time.perf_counter() - now)
            failed += answer.status_code != httpx.codes.OK
            progress("mixed load", min(int(now - started), total - 1), total, "s")

    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        await asyncio.gather(*map(client, range(clients)))
    progress("mixed load", total, total, "s")
    return Load(tuple(latencies), time.perf_counter() - started, failed)
