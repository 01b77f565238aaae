"""A pico ladder built by merge_builder, and the real engine and service over it."""

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from starlette.types import ASGIApp
from transformers import BertConfig, BertModel

from merge_builder.build import build
from merge_builder.ladder import Ladder, rung_at
from merge_builder.ladder.router import Router
from merge_builder.recipe import load_recipe
from merge_builder.tuning.neulig.publishing import publish_router
from merge_builder.tuning.neulig.router_report import judged
from serving.engine.engine import Engine, load_engine
from serving.service import Choice, Service

from ..checkpoints import classifier, seeded, tokenizer, write_suite

LABELS = {"ant": ("no", "yes"), "bee": ("low", "mid", "high"), "cat": ("a", "b", "c", "d")}
SHORTEST, LONGEST = 8, 40  # tokens that bee, and the other tasks, take
SHAPE = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": LONGEST,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def pico_ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """Three tasks of one random base, task bee with a shorter maximum length."""
    root = tmp_path_factory.mktemp("pico")
    with seeded(0):
        base = BertModel(BertConfig(num_hidden_layers=2, **SHAPE))
        experts = {task: classifier(base, labels) for task, labels in LABELS.items()}
    words = dict.fromkeys(["base", *LABELS], tokenizer(LONGEST)) | {"bee": tokenizer(SHORTEST)}
    return build(load_recipe(write_suite(root, base, experts, words)), root / "pico", threads=1)


@pytest.fixture(scope="session")
def middle_rung(pico_ladder: Ladder) -> int:
    """A rung where some blocks are shared and some are not."""
    return len(pico_ladder.manifest.rungs) // 2


@pytest.fixture
def engine(pico_ladder: Ladder, middle_rung: int) -> Engine:
    return load_engine(pico_ladder, rung_at(pico_ladder.manifest, middle_rung))


@pytest.fixture
async def service(engine: Engine) -> AsyncIterator[Service]:
    service = Service(engine, Choice(budget=123456789, reason="the largest rung that fits"))
    await service.start()
    yield service
    await service.aclose()


@contextmanager
def running(app: ASGIApp, port: int) -> Iterator[str]:
    """The URL of `app` while it is served."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", port)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while thread.is_alive() and not server.started:  # until its application's start is over
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """`serve(app, port=0)`: the URL where `app` is served until the test ends."""
    with ExitStack() as stack:
        yield lambda app, port=0: stack.enter_context(running(app, port))


@pytest.fixture(scope="session")
def routed_ladder(pico_ladder: Ladder, tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """The pico ladder with a router that is sure of ant at the words w0 to w29, of bee up to w59, of cat beyond."""
    return with_router(pico_ladder, tmp_path_factory.mktemp("routed") / "routed", words=30)


@pytest.fixture(scope="session")
def twin_ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """Three classifiers over one random base, of which `left` and `right` have the same labels, and a router: sure of
    one of them at a tenth of the words each, then of `other`."""
    root = tmp_path_factory.mktemp("twins")
    labels = {"left": ("bad", "good"), "right": ("bad", "good"), "other": ("a", "b")}
    with seeded(2):
        base = BertModel(BertConfig(num_hidden_layers=1, **SHAPE))
        experts = {task: classifier(base, own) for task, own in labels.items()}
    words = dict.fromkeys(["base", *labels], tokenizer(LONGEST))
    ladder = build(load_recipe(write_suite(root, base, experts, words)), root / "plain", threads=1)
    return with_router(ladder, root / "twins", words=10)


def with_router(ladder: Ladder, out: Path, words: int) -> Ladder:
    """`ladder` with a router to whose ears task k's words are w(k * words) and the next ones."""
    names = tuple(task.name for task in ladder.manifest.tasks)
    tokens = np.zeros((100, len(names)), np.float32)
    for number in range(len(names)):
        tokens[5 + number * words : 5 + (number + 1) * words, number] = 6
    right = {name: np.array([True, True, True, False]) for name in names}
    report = judged(out, right, 0, 100)
    router = Router(names, tokens, np.zeros(len(names), np.float32))
    return publish_router(ladder, out, router, report, LONGEST, dict.fromkeys(names, "0" * 64))
