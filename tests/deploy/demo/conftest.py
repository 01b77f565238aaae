"""A pico base on disk, wheels made in the test, and a registry that is a folder."""

import hashlib
import random
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from deploy.demo.packages import Package
from merge_builder.evaluation import Row

WORDS = [f"{kind}{number}" for kind in ("red", "blue", "grey") for number in range(20)]
MakePackage = Callable[[str, Mapping[str, str | bytes]], Package]


@pytest.fixture(scope="session")
def pico_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BertModel with a pooler, hidden size 32 and 2 layers, and a tokenizer of `WORDS`."""
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,  # at BERT's own 0.02 so small a model starts almost blind
    )
    BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def colour_rows() -> list[Row]:
    """A separable task: is the text's one coloured word red or blue? The other words are grey."""
    rng = random.Random(0)
    return [_colour_row(rng) for _ in range(1000)]


def _colour_row(rng: random.Random) -> Row:
    label = rng.choice(["red", "blue"])
    words = [f"grey{rng.randrange(20)}" for _ in range(rng.randrange(1, 9))] + [f"{label}{rng.randrange(5)}"]
    rng.shuffle(words)
    return Row(text=" ".join(words), label=label)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that pip takes packages from, and nowhere else; the cache is a fresh one too."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("MERGELADDER_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def make_package(registry: Path) -> MakePackage:
    """`make_package(name, {path: content})` puts version 1.0 of a wheel into the registry."""

    def make(name: str, files: Mapping[str, str | bytes]) -> Package:
        path = write_wheel(registry / f"{name.replace('-', '_')}-1.0-py3-none-any.whl", name, files)
        return Package(name, "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)

    return make


def write_wheel(path: Path, name: str, files: Mapping[str, str | bytes]) -> Path:
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    entries = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{entry},,\n" for entry in [*entries, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in {**entries, f"{info}/RECORD": record}.items():
            archive.writestr(entry, content)
    return path
