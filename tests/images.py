"""A pico ladder of images, image files as strangers send them, and the oracle for both.

The oracle is transformers' own model and own image processor, over what `merge_builder.export` makes of a rung.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import (
    AutoImageProcessor,
    BitImageProcessorPil,
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
)

from merge_builder.build import build
from merge_builder.export import export
from merge_builder.ladder import Ladder
from merge_builder.recipe import load_recipe

from .checkpoints import near, seeded, write_suite

LABELS = {"hue": ("red", "green", "blue"), "shape": ("round", "square"), "size": ("s", "m", "l", "xl")}
SIDE, TOKENS = 20, 1 + 5 * 5  # of an image as the model sees it: pixels; the class token and patches of 4 x 4
Ask = Callable[[str, bytes], NDArray[np.float32]]


def processor(side: int = SIDE) -> BitImageProcessorPil:
    """One that resizes, crops to `side` pixels and normalises."""
    return BitImageProcessorPil(size={"shortest_edge": side + 4}, crop_size={"height": side, "width": side})


def build_ladder(root: Path, own: Mapping[str, BitImageProcessorPil] = MappingProxyType({})) -> Ladder:
    """Three tasks of one random DINOv2 that has a processor; of experts, those in `own` have one."""
    write_checkpoints(root)
    for task, its in own.items():
        its.save_pretrained(root / task)
    return build(load_recipe(root / "recipe.yaml"), root / "sights", threads=1)


def write_checkpoints(root: Path) -> None:
    """What `build_ladder` builds from: `recipe.yaml`, `base/`, and a folder a task."""
    keys = {"hidden_size": 24, "num_attention_heads": 3, "mlp_ratio": 2, "num_hidden_layers": 2}
    config = Dinov2Config(image_size=SIDE, patch_size=4, **keys)
    with seeded(0):
        base = Dinov2Model(config)
        experts = {task: _classifier(base, labels) for task, labels in LABELS.items()}
    write_suite(root, base, experts, {"base": processor()})


def _classifier(base: Dinov2Model, labels: Sequence[str]) -> Dinov2ForImageClassification:
    own = {"id2label": dict(enumerate(labels)), "num_labels": len(labels)}
    expert = near(base, Dinov2ForImageClassification(Dinov2Config(**base.config.to_dict() | own)))
    torch.nn.init.normal_(expert.classifier.weight)
    return expert


def transformers_answers(ladder: Ladder, rung: int, root: Path) -> Ask:
    """`ask(task, file)`: the logits, float32 of shape (labels,), that transformers computes; it exports to `root`."""
    for task in LABELS:
        export(ladder, task, ladder.manifest.rungs[rung], root / task)
    processors = {task: AutoImageProcessor.from_pretrained(root / task, backend="pil") for task in LABELS}
    models = {task: Dinov2ForImageClassification.from_pretrained(root / task).eval() for task in LABELS}

    def ask(task: str, file: bytes) -> NDArray[np.float32]:
        pixels = processors[task](images=Image.open(io.BytesIO(file)), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            logits: NDArray[np.float32] = models[task](pixels).logits[0].numpy()
        return logits

    return ask


def picture(seed: int, format: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    """A file of coloured patches, wide and high as `size` tells."""
    cells = np.random.default_rng(seed).integers(0, 256, (4, 5, 4), np.uint8)
    file = io.BytesIO()
    Image.fromarray(cells).convert(mode).resize(size, Image.Resampling.NEAREST).save(file, format)
    return file.getvalue()
