"""A pico ladder built by merge_builder, and the real engine and service over it."""

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import torch
import uvicorn
from starlette.types import ASGIApp
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from merge_builder.build import build
from merge_builder.ladder import Ladder, rung_at
from merge_builder.recipe import load_recipe
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
