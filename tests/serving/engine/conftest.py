"""Ladders made by hand: every stored version is its own random tensors, so that a wrong version cannot go unseen."""

import hashlib
import json
import random
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification, BertModel

from merge_builder.ladder import Ladder, Manifest, Rung, Version
from merge_builder.ladder.fields import TensorSpec
from merge_builder.ladder.manifest import Base, Block, Head, MethodUse, Provenance, Source, Step, Task
from merge_builder.ladder.rungs import rung_table
from merge_builder.ladder.store import MANIFEST, group_id, head_path, open_ladder, version_path

from ...checkpoints import tokenizer

TASKS = ("ant", "bee", "cat", "dog")
METHOD = MethodUse(name="average", parameters={})
MakeLadder = Callable[..., Ladder]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`written(granularity, seed, pooler, dtype, max_length)`: the folder of such a ladder, for nobody to change."""

    @cache
    def write(granularity: str, *how: Any) -> Path:
        return _write_ladder(tmp_path_factory.mktemp(granularity), granularity, *how).root

    return write


@pytest.fixture
def make_ladder(written: Callable[..., Path], tmp_path: Path) -> MakeLadder:
    """`make_ladder(granularity, seed=0, pooler=True, dtype=torch.float32, max_length=None)`, the own copy of a test."""

    def make(
        granularity: str,
        *,
        seed: int = 0,
        pooler: bool = True,
        dtype: torch.dtype = torch.float32,
        max_length: int | None = None,
    ) -> Ladder:
        root = tmp_path / f"{granularity}-{seed}-{pooler}-{dtype}-{max_length}"
        shutil.copytree(written(granularity, seed, pooler, dtype, max_length), root)
        return open_ladder(root)

    return make


@pytest.fixture
def reference() -> Callable[[Ladder, Rung, str], BertForSequenceClassification]:
    """`reference(ladder, rung, task)`: transformers' own model of one task, put together from the stored files."""
    return _reference


def _reference(ladder: Ladder, rung: Rung, task: str) -> BertForSequenceClassification:
    labels = next(len(t.labels) for t in ladder.manifest.tasks if t.name == task)
    state = load_file(ladder.head_path(task))
    for versions in rung.versions.values():
        state |= load_file(ladder.version_path(versions[task]))
    named = {name if name.startswith("classifier") else f"bert.{name}": tensor for name, tensor in state.items()}
    model = _classifier((ladder.base_dir / "config.json").read_text(), labels)
    model.load_state_dict({name: t.float() for name, t in named.items() if not name.endswith("position_ids")})
    return model


@cache
def _classifier(config: str, labels: int) -> BertForSequenceClassification:
    """One that is given weights again and again: to make it takes longer."""
    return BertForSequenceClassification(BertConfig(**json.loads(config), num_labels=labels)).eval()


Shapes = dict[str, tuple[int, ...]]
Store = Callable[[Path, Shapes], dict[str, Any]]


def _write_ladder(
    root: Path, granularity: str, seed: int, pooler: bool, dtype: torch.dtype, max_length: int | None
) -> Ladder:
    shapes = _write_base(root / "base")
    unmerged = {} if pooler else {name: shapes.pop(name) for name in list(shapes) if name.startswith("pooler")}
    members: dict[str, Shapes] = {}
    for name, shape in shapes.items():
        members.setdefault(_block_of(name, granularity), {})[name] = shape
    store = _random_tensors(torch.Generator().manual_seed(seed), dtype)
    tasks = _write_heads(root, store, unmerged, max_length)
    versions, trace = _write_versions(root, store, members, random.Random(seed))
    size = {version.block: version.bytes for version in versions}
    blocks = tuple(Block(name=name, bytes=size[name], tensors=_specs(own)) for name, own in members.items())
    source = Source(model="none", files={})
    manifest = Manifest(
        revision="0",
        base=Base(model_type="bert", files={}),
        tasks=tuple(tasks),
        granularity=granularity,
        linkage="min",
        method=METHOD,
        blocks=blocks,
        trace=tuple(trace),
        versions=tuple(versions),
        rungs=rung_table(blocks, versions, trace, sum(task.head.bytes for task in tasks)),
        provenance=Provenance(recipe={}, base=source, experts={}, libraries={}),
    )
    (root / MANIFEST).write_text(manifest.model_dump_json())
    return open_ladder(root)


def _write_base(path: Path) -> Shapes:
    """A pico BERT's config and tokenizer; returns the shapes of its tensors."""
    config = BertConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=40,
    )
    config.save_pretrained(path)
    words = tokenizer()
    words.backend_tokenizer.enable_truncation(6)  # published files often have both baked in
    words.backend_tokenizer.enable_padding(length=6)
    words.save_pretrained(path)
    with torch.device("meta"):
        return {name: tuple(p.shape) for name, p in BertModel(config).named_parameters()}


def _specs(shapes: Shapes) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name=name, dtype="F32", shape=shape) for name, shape in shapes.items())


def _random_tensors(generator: torch.Generator, dtype: torch.dtype) -> Store:
    def store(path: Path, shapes: Shapes) -> dict[str, Any]:
        tensors = {name: (torch.randn(shape, generator=generator) * 0.3).to(dtype) for name, shape in shapes.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path)
        return {
            "bytes": sum(tensor.nbytes for tensor in tensors.values()),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }

    return store


def _write_heads(root: Path, store: Store, unmerged: Shapes, max_length: int | None) -> list[Task]:
    """A classifier for each task, of 2, 3, ... labels, and whatever of the expert is not merged."""
    tasks = []
    for labels, name in enumerate(TASKS, 2):
        shapes = {"classifier.weight": (labels, 32), "classifier.bias": (labels,)} | unmerged
        head = Head(tensors=_specs(shapes), **store(head_path(root, name), shapes))
        names = tuple(f"{name}-{label}" for label in range(labels))
        tasks.append(Task(name=name, labels=names, max_length=max_length, head=head, config={}))
    return tasks


def _write_versions(
    root: Path, store: Store, members: dict[str, Shapes], chance: random.Random
) -> tuple[list[Version], list[Step]]:
    """Merge random groups of random blocks until every block is one group."""
    versions: list[Version] = []
    trace: list[Step] = []

    def add(block: str, group: frozenset[str]) -> None:
        ident = group_id(group, METHOD)
        stored = store(version_path(root, block, ident), members[block])
        kind = "expert" if len(group) == 1 else "merged"
        versions.append(Version(block=block, id=ident, kind=kind, tasks=tuple(sorted(group)), **stored))

    groups = {block: [frozenset((task,)) for task in TASKS] for block in members}
    for block, own in groups.items():
        for group in own:
            add(block, group)
    order = [block for block in members for _ in TASKS[1:]]
    chance.shuffle(order)
    for number, block in enumerate(order):
        left, right = chance.sample(groups[block], 2)
        groups[block] = [group for group in groups[block] if group not in (left, right)] + [left | right]
        add(block, left | right)
        step = Step(step=number, block=block, left=tuple(sorted(left)), right=tuple(sorted(right)), similarity=0.0)
        trace.append(step)
    return versions, trace


def _block_of(name: str, granularity: str) -> str:
    """A partition of BERT's tensors, written here a second time on purpose."""
    if granularity == "tensor":
        return name
    top = name.split(".")[0]
    layer = re.match(r"encoder\.layer\.(\d+)\.", name)
    part = f"layers.{layer[1]}" if layer else top
    if granularity == "layer" or top == "pooler":
        return part
    if layer:
        part += ".attention" if ".attention." in name else ".feed_forward"
    return part + ".norm" if "LayerNorm" in name else part
