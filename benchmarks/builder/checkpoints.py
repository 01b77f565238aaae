"""Synthetic checkpoints of real shapes: a base and experts whose task vectors are N(0, 1e-3)."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

Shapes = dict[str, tuple[int, ...]]


def llama(
    hidden: int = 768, layers: int = 12, inner: int = 2048, vocabulary: int = 32000
) -> tuple[dict[str, Any], Shapes]:
    """Config and tensor shapes of a Llama-like model with tied embeddings: 109.5 M parameters as it stands."""
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "num_key_value_heads": hidden // 64,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
    }
    shapes: Shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
    for layer in range(layers):
        at = f"model.layers.{layer}"
        for part in "qkvo":
            shapes[f"{at}.self_attn.{part}_proj.weight"] = (hidden, hidden)
        shapes |= {f"{at}.mlp.{part}_proj.weight": (inner, hidden) for part in ("gate", "up")}
        shapes[f"{at}.mlp.down_proj.weight"] = (hidden, inner)
        shapes |= {f"{at}.{norm}_layernorm.weight": (hidden,) for norm in ("input", "post_attention")}
    return config, shapes


def vit() -> tuple[dict[str, Any], Shapes]:
    """Config and tensor shapes of ViT-B/32, the size of the paper's largest study: 88 M parameters."""
    hidden, inner, patch = 768, 3072, 32
    config = {
        "model_type": "vit",
        "architectures": ["ViTModel"],
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "image_size": 224,
        "patch_size": patch,
        "hidden_act": "gelu",
    }
    shapes: Shapes = {
        "embeddings.cls_token": (1, 1, hidden),
        "embeddings.position_embeddings": (1, (224 // patch) ** 2 + 1, hidden),
        "embeddings.patch_embeddings.projection.weight": (hidden, 3, patch, patch),
        "embeddings.patch_embeddings.projection.bias": (hidden,),
        "layernorm.weight": (hidden,),
        "layernorm.bias": (hidden,),
    }
    for layer in range(12):
        parts = {f"attention.attention.{part}": (hidden, hidden) for part in ("query", "key", "value")}
        parts |= {"attention.output.dense": (hidden, hidden)}
        parts |= {"intermediate.dense": (inner, hidden), "output.dense": (hidden, inner)}
        for part, shape in parts.items():
            shapes[f"encoder.layer.{layer}.{part}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{part}.bias"] = shape[:1]
        for norm in ("layernorm_before", "layernorm_after"):
            shapes[f"encoder.layer.{layer}.{norm}.weight"] = (hidden,)
            shapes[f"encoder.layer.{layer}.{norm}.bias"] = (hidden,)
    return config, shapes


def write_suite(folder: Path, config: dict[str, Any], shapes: Shapes, experts: int, **recipe: Any) -> Path:
    """Write `base`, `expert0`… and `recipe.yaml` into `folder`, unless they are there; returns the recipe."""
    names = [f"expert{number}" for number in range(experts)]
    # In a process of its own: what this one ever held counts as the peak of every process that it starts.
    with ProcessPoolExecutor(1, get_context("spawn")) as writer:
        for number, name in enumerate(["base", *names]):
            writer.submit(_write, folder / name, config, shapes, number).result()
    document = {"base": "base", "tasks": {name: {"model": name} for name in names}} | recipe
    path = folder / f"{'-'.join(str(value) for value in recipe['method'].values())}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _write(folder: Path, config: dict[str, Any], shapes: Shapes, number: int) -> None:
    if not (folder / "model.safetensors").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config))
        save_file(_weights(shapes, number), folder / "model.safetensors", {"format": "pt"})


def _weights(shapes: Shapes, number: int) -> dict[str, np.ndarray]:
    base, own = np.random.default_rng(0), np.random.default_rng(number)
    weights = {}
    for name, shape in shapes.items():
        weights[name] = base.standard_normal(shape, np.float32) * np.float32(0.02)
        if number:
            weights[name] += own.standard_normal(shape, np.float32) * np.float32(1e-3)
    return weights
