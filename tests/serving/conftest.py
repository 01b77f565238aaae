"""A pico ladder built by merge_builder, and the real engine and service over it."""

import json
import socket
import string
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import torch
import uvicorn
from starlette.types import ASGIApp
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

from merge_builder.build import build
from merge_builder.ladder import Ladder, rung_at
from merge_builder.recipe import load_recipe
from serving.engine.engine import Engine, load_engine
from serving.service import Choice, Service

LABELS = {"ant": ("no", "yes"), "bee": ("low", "mid", "high"), "cat": ("a", "b", "c", "d")}
NAMES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC")
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
def mixed_ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """One task of each kind over one random base, whose tokenizer cuts words into pieces of a letter or three.

    `mood` is a classifier, `names` labels tokens, `find` answers questions, `sense` is of sentence-transformers.
    """
    torch.set_num_threads(1)
    torch.manual_seed(1)
    root = tmp_path_factory.mktemp("mixed")
    tokenizer = word_pieces()
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": LONGEST,
    }
    base = BertModel(BertConfig(**shape))
    base.save_pretrained(root / "base")
    tokenizer.save_pretrained(root / "base")
    named = {"id2label": dict(enumerate(NAMES)), "label2id": {label: i for i, label in enumerate(NAMES)}}
    experts = {
        "mood": BertForSequenceClassification(BertConfig(**shape, num_labels=2)),
        "names": BertForTokenClassification(BertConfig(**shape, **named)),
        "find": BertForQuestionAnswering(BertConfig(**shape)),
        "sense": BertModel(BertConfig(**shape)),
    }
    for task, expert in experts.items():
        encoder = expert if task == "sense" else expert.bert
        moved = {n: t + 0.2 * torch.randn(t.shape) for n, t in base.state_dict().items()}
        encoder.load_state_dict({name: moved[name] for name in encoder.state_dict()})
        for name, weight in expert.named_parameters():
            if name.startswith(("classifier", "qa_outputs")):
                torch.nn.init.normal_(weight, std=0.3)
        expert.save_pretrained(root / task)
        tokenizer.save_pretrained(root / task)
    types = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{name}"} for path, name in types.items()]
    (root / "sense" / "modules.json").write_text(json.dumps(modules))
    (root / "sense" / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (root / "sense" / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    tasks = "".join(f"\n  {task}: {{model: {task}}}" for task in experts)
    (root / "recipe.yaml").write_text(f"base: base\ntasks:{tasks}\nmethod: {{name: average}}\n")
    return build(load_recipe(root / "recipe.yaml"), root / "mixed", threads=1)


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


def word_pieces() -> PreTrainedTokenizerFast:
    """Lower-cased words in pieces, longest first: a few of three letters, else single ones; digits are unknown."""
    letters = string.ascii_lowercase + ".,"
    pieces = [*letters, "ann", "lon", "the", *(f"##{piece}" for piece in (*letters, "don", "ing", "ton"))]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {piece: number for number, piece in enumerate(special + pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=LONGEST,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
