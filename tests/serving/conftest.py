"""A pico ladder built by merge_builder, and the real engine and service over it."""

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import uvicorn
from starlette.types import ASGIApp
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from merge_builder.build import build
from merge_builder.ladder import Ladder, rung_at
from merge_builder.ladder.router import Router
from merge_builder.recipe import load_recipe
from merge_builder.tuning.neulig.publishing import publish_router
from merge_builder.tuning.neulig.router_report import judged
from serving.engine.engine import Engine, load_engine
from serving.service import Choice, Service

LABELS = {"ant": ("no", "yes"), "bee": ("low", "mid", "high"), "cat": ("a", "b", "c", "d")}
SHORTEST, LONGEST = 8, 40  # tokens that bee, and the other tasks, take


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def pico_ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """Three tasks of one random base, task bee with a shorter maximum length."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("pico")
    config = BertConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=LONGEST,
    )
    base = BertModel(config)
    base.save_pretrained(root / "base")
    _tokenizer(LONGEST).save_pretrained(root / "base")
    for task, labels in LABELS.items():
        expert = BertForSequenceClassification(
            BertConfig(**config.to_dict() | {"id2label": dict(enumerate(labels))}, num_labels=len(labels))
        )
        expert.bert.load_state_dict({n: t + 0.2 * torch.randn(t.shape) for n, t in base.state_dict().items()})
        torch.nn.init.normal_(expert.classifier.weight)
        expert.save_pretrained(root / task)
        _tokenizer(SHORTEST if task == "bee" else LONGEST).save_pretrained(root / task)
    tasks = "".join(f"\n  {task}: {{model: {task}}}" for task in LABELS)
    (root / "recipe.yaml").write_text(f"base: base\ntasks:{tasks}\nmethod: {{name: average}}\n")
    return build(load_recipe(root / "recipe.yaml"), root / "pico", threads=1)


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


def _tokenizer(max_length: int) -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: number for number, word in enumerate(special + [f"w{n}" for n in range(95)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


@pytest.fixture(scope="session")
def routed_ladder(pico_ladder: Ladder, tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """The pico ladder with a router that is sure of ant at the words w0 to w29, of bee up to w59, of cat beyond."""
    return with_router(pico_ladder, tmp_path_factory.mktemp("routed") / "routed", words=30)


@pytest.fixture(scope="session")
def twin_ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """Three classifiers over one random base, of which `left` and `right` have the same labels, and a router: sure of
    one of them at a tenth of the words each, then of `other`."""
    torch.manual_seed(2)
    root = tmp_path_factory.mktemp("twins")
    shape = {
        "vocab_size": 100,
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": LONGEST,
    }
    base = BertModel(BertConfig(**shape))
    base.save_pretrained(root / "base")
    _tokenizer(LONGEST).save_pretrained(root / "base")
    for task, labels in {"left": ("bad", "good"), "right": ("bad", "good"), "other": ("a", "b")}.items():
        expert = BertForSequenceClassification(BertConfig(**shape, id2label=dict(enumerate(labels)), num_labels=2))
        expert.bert.load_state_dict({n: t + 0.2 * torch.randn(t.shape) for n, t in base.state_dict().items()})
        torch.nn.init.normal_(expert.classifier.weight)
        expert.save_pretrained(root / task)
        _tokenizer(LONGEST).save_pretrained(root / task)
    tasks = "".join(f"\n  {task}: {{model: {task}}}" for task in ("left", "right", "other"))
    (root / "recipe.yaml").write_text(f"base: base\ntasks:{tasks}\nmethod: {{name: average}}\n")
    ladder = build(load_recipe(root / "recipe.yaml"), root / "plain", threads=1)
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
