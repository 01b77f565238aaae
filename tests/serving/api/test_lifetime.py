"""How long a request lives, over the real application: deadlines, and clients that hang up."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence

import httpx
import pytest
import uvicorn

from serving.api.app import create_app
from serving.engine.engine import Engine
from serving.engine.types import BatchOutput, Encoded
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio
PATH, BODY = "/v1/tasks/ant/predict", {"inputs": ["w1"]}
TIMEOUT = "x-request-timeout-seconds"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """While it is not set the engine's next batch does not begin."""
    gate = threading.Event()
    gate.set()
    yield gate
    gate.set()


@pytest.fixture
async def service(engine: Engine, gate: threading.Event) -> AsyncIterator[Service]:
    class Gated(Engine):
        def run(self, batch: Sequence[Encoded]) -> BatchOutput:
            gate.wait(20)
            return super().run(batch)

    service = Service(Gated(**vars(engine)), Choice(None, "asked for"))
    await service.start()
    yield service
    gate.set()
    await service.aclose()


def counted(service: Service, name: str, **labels: str) -> float:
    return service.metrics.registry.get_sample_value(f"mergeladder_{name}", labels) or 0


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def hold(client: httpx.AsyncClient, gate: threading.Event, service: Service) -> asyncio.Task[httpx.Response]:
    """A request that keeps the engine busy until the gate is set."""
    gate.clear()
    held = asyncio.create_task(client.post(PATH, json=BODY, headers={TIMEOUT: "30"}))
    before = counted(service, "batch_size_sum")
    await until(lambda: counted(service, "inflight_requests") == 1 and counted(service, "queue_depth") == 0)
    await asyncio.sleep(0.05)
    assert counted(service, "batch_size_sum") == before
    return held


async def test_expired_work_is_504_in_time_and_never_computed(
    client, gate, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await hold(client, gate, service)
    before = counted(service, "batch_size_sum")
    late = asyncio.create_task(client.post(PATH, json={"inputs": ["w2", "w3"]}, headers={TIMEOUT: "8.5"}))
    body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["w1"]}]}
    late_v2 = asyncio.create_task(client.post("/v2/models/ant/infer", json=body, headers={TIMEOUT: "8.5"}))
    await until(lambda: counted(service, "queue_depth") == 3)
    loop = asyncio.get_running_loop()
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + 8.5)
    v1, v2 = await asyncio.gather(late, late_v2)  # while the engine is busy with the first
    gate.set()
    assert (await held).status_code == 200
    await until(lambda: counted(service, "queue_depth") == 0)

    assert (v1.status_code, v1.json()["error"]["type"]) == (504, "deadline_exceeded")
    assert "8.5 s" in v1.json()["error"]["message"]
    assert (v2.status_code, list(v2.json())) == (504, ["error"])
    assert counted(service, "batch_size_sum") == before + 1
    assert counted(service, "cancelled_total", stage="queue") == 3
    assert counted(service, "requests_total", task="ant", code="504") == 2


def of(inputs: int) -> dict[str, list[str]]:
    return {"inputs": ["w1"] * inputs}


async def test_what_cannot_be_in_time_is_refused_at_once(client, gate, service: Service) -> None:
    gate.clear()
    slow = asyncio.create_task(client.post(PATH, json=of(20)))
    await until(lambda: counted(service, "inflight_requests") == 1)
    await asyncio.sleep(1)  # so long do twenty inputs take, as far as the server knows
    gate.set()
    await slow
    held = await hold(client, gate, service)
    waiting = [asyncio.create_task(client.post(PATH, json=of(10))) for _ in range(20)]
    await until(lambda: counted(service, "queue_depth") == 200)
    hopeless = await client.post(PATH, json=of(200), headers={TIMEOUT: "4"})
    crowded = await client.post(PATH, json=BODY, headers={TIMEOUT: "4"})
    gate.set()
    answers = await asyncio.gather(held, *waiting)

    assert (hopeless.status_code, hopeless.json()["error"]["type"]) == (504, "deadline_exceeded")
    assert "recent speed" in hopeless.json()["error"]["message"]
    assert (crowded.status_code, crowded.json()["error"]["type"]) == (429, "overloaded")
    assert 1 <= int(crowded.headers["Retry-After"]) <= 30
    assert {answer.status_code for answer in answers} == {200}
    assert counted(service, "rejected_total", reason="overloaded") == 1


async def test_the_server_has_a_deadline_of_its_own_that_a_header_only_shortens(gate, service: Service) -> None:
    transport = httpx.ASGITransport(create_app(service, max_seconds=0.2))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        gate.clear()
        statuses = [(await client.post(PATH, json=BODY, headers=h)).status_code for h in ({}, {TIMEOUT: "9"})]
        gate.set()
    assert statuses == [504, 504]


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan", "inf", ""])
async def test_a_timeout_that_is_no_time(client, seconds: str) -> None:
    response = await client.post(PATH, json=BODY, headers={TIMEOUT: seconds})

    assert (response.status_code, response.json()["error"]["param"]) == (422, TIMEOUT)


async def test_a_cancelled_handler_gives_its_inputs_up(client, gate, service: Service) -> None:
    """Ray Serve cancels the handler of a client that hung up."""
    held = await hold(client, gate, service)
    given_up = asyncio.create_task(client.post(PATH, json=BODY))
    await until(lambda: counted(service, "queue_depth") == 1)
    given_up.cancel()
    await asyncio.wait((given_up,))
    gate.set()
    await held

    assert counted(service, "cancelled_total", stage="queue") == 1
    assert counted(service, "requests_total", task="ant", code="499") == 1


@pytest.fixture
async def address(service: Service) -> AsyncIterator[str]:
    """The application under uvicorn on a real socket."""
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, lifespan="off", log_level="warning"))
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await running


async def test_a_client_that_hangs_up_is_not_computed(address: str, gate, service: Service) -> None:
    async with httpx.AsyncClient(base_url=address) as client:
        held = await hold(client, gate, service)
        before = counted(service, "batch_size_sum")
        with pytest.raises(httpx.ReadTimeout):
            await client.post(PATH, json={"inputs": ["w2"]}, timeout=0.3)
        await until(lambda: counted(service, "requests_total", task="ant", code="499") == 1)
        gate.set()
        assert (await held).status_code == 200
        assert (await client.post(PATH, json=BODY)).status_code == 200

    assert counted(service, "batch_size_sum") == before + 2
    assert counted(service, "cancelled_total", stage="queue") == 1


async def test_a_client_that_leaves_amid_its_body_is_no_failure(address: str, service: Service, caplog) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    writer.write(f'POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{"inputs"'.encode())
    await writer.drain()
    await until(lambda: counted(service, "inflight_requests") == 1)
    writer.close()
    await until(lambda: counted(service, "requests_total", task="ant", code="499") == 1)

    assert not caplog.records
