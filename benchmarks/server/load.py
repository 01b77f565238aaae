"""A closed loop of clients over HTTP: each sends its next request when it has its answer."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np

Request = tuple[str, dict[str, Any]]  # a path and a JSON body


@dataclass(frozen=True)
class Load:
    """What the clients saw: seconds of each answer, seconds in all, and answers by status."""

    latencies: tuple[float, ...]
    seconds: float
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Milliseconds."""
        return float(np.percentile(self.latencies, percent)) * 1000


def closed_loop(url: str, requests: Sequence[Request], *, clients: int, seconds: float) -> Load:
    """Send `requests` over and over from `clients`, for `seconds`; the last answers are waited for."""
    return asyncio.run(_closed_loop(url, requests, clients, seconds))


async def _closed_loop(url: str, requests: Sequence[Request], clients: int, seconds: float) -> Load:
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    start = time.perf_counter()

    async def client(number: int, http: aiohttp.ClientSession) -> None:
        place = number
        while (sent := time.perf_counter()) - start < seconds:
            path, body = requests[place % len(requests)]
            place += clients
            async with http.post(path, json=body) as answer:
                await answer.read()
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            latencies.append(time.perf_counter() - sent)

    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(120)) as http:
        await asyncio.gather(*(client(number, http) for number in range(clients)))
    return Load(tuple(latencies), time.perf_counter() - start, statuses)
