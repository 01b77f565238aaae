"""Pico BERT-shaped checkpoints on disk, made from seeds without a model library."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from merge_builder.build import build
from merge_builder.ladder import Ladder, open_ladder
from merge_builder.recipe import load_recipe

HIDDEN, LAYERS, VOCAB, POSITIONS = 8, 2, 20, 16
CONFIG = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 2 * HIDDEN,
    "vocab_size": VOCAB,
    "max_position_embeddings": POSITIONS,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}


def encoder_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCAB, HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
        "pooler.dense.weight": (HIDDEN, HIDDEN),
        "pooler.dense.bias": (HIDDEN,),
    }
    sizes = {
        "attention.self.query": (HIDDEN, HIDDEN),
        "attention.self.key": (HIDDEN, HIDDEN),
        "attention.self.value": (HIDDEN, HIDDEN),
        "attention.output.dense": (HIDDEN, HIDDEN),
        "intermediate.dense": (2 * HIDDEN, HIDDEN),
        "output.dense": (HIDDEN, 2 * HIDDEN),
    }
    for layer in range(LAYERS):
        for part, shape in sizes.items():
            shapes[f"encoder.layer.{layer}.{part}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{part}.bias"] = shape[:1]
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"encoder.layer.{layer}.{part}.weight"] = (HIDDEN,)
            shapes[f"encoder.layer.{layer}.{part}.bias"] = (HIDDEN,)
    return shapes


Weights = dict[str, np.ndarray]


def random_encoder(seed: int) -> Weights:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in encoder_shapes().items()}


def fine_tune(base: Weights, seed: int, scale: float = 0.1) -> Weights:
    rng = np.random.default_rng(seed)
    return {name: value + (scale * rng.normal(size=value.shape)).astype(np.float32) for name, value in base.items()}


def write_base(path: Path, weights: Weights) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(CONFIG | {"architectures": ["BertModel"]}))
    save_file(weights, path / "model.safetensors", {"format": "pt"})
    return path


def write_expert(path: Path, weights: Weights, labels: int = 2) -> Path:
    path.mkdir(parents=True)
    names = {str(i): f"label-{i}" for i in range(labels)}
    (path / "config.json").write_text(json.dumps(CONFIG | {"id2label": names}))
    rng = np.random.default_rng(labels)
    dtype = next(iter(weights.values())).dtype
    head = {
        "classifier.weight": rng.normal(size=(labels, HIDDEN)).astype(dtype),
        "classifier.bias": rng.normal(size=labels).astype(dtype),
    }
    save_file({f"bert.{name}": w for name, w in weights.items()} | head, path / "model.safetensors", {"format": "pt"})
    return path


def write_recipe(folder: Path, tasks: list[str], **keys: object) -> Path:
    document = {"base": "base", "tasks": {task: {"model": task} for task in tasks}} | keys
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with a base, three experts `a`, `b` and `c`, and `recipe.yaml` (averaging)."""
    base = random_encoder(0)
    write_base(tmp_path / "base", base)
    for seed, task in enumerate("abc", 1):
        write_expert(tmp_path / task, fine_tune(base, seed), labels=seed + 1)
    write_recipe(tmp_path, list("abc"), method={"name": "average"})
    return tmp_path


@pytest.fixture(scope="session")
def built() -> dict[str, Path]:
    """Ladders that were built before, by what they are made of; for nobody to change."""
    return {}


@pytest.fixture
def make_ladder(suite: Path, built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ladder]:
    """Build the suite's ladder in the folder `name`; other keys go into the recipe. The same again is a copy."""

    def make(name: str = "ladder", **keys: object) -> Ladder:
        recipe = write_recipe(suite, list("abc"), **({"method": {"name": "average"}} | keys))
        inputs = [path for folder in (".", "base", *"abc") for path in sorted((suite / folder).iterdir())]
        of = hashlib.sha256()
        for path in filter(Path.is_file, inputs):
            of.update(f"{path.relative_to(suite)} {path.stat().st_size}".encode() + path.read_bytes())
        out, key = suite / name, of.hexdigest()
        if key in built and not out.exists():
            return open_ladder(shutil.copytree(built[key], out))
        ladder = build(load_recipe(recipe), out)
        if key not in built:
            built[key] = shutil.copytree(out, tmp_path_factory.mktemp("built") / "ladder")
        return ladder

    return make
