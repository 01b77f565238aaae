"""The suite's merging mode against transformers: betas of one expert alone are that expert, of texts and of images."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, BertForSequenceClassification, Dinov2ForImageClassification

from merge_builder.evaluation import Row

from .. import images
from ..checkpoints import tokenizer
from ..conftest import LABELS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "suite"))
from neulig_modes import examples_of, load_encoders, merged

TEXTS = [Row(text=" ".join(f"w{own}" for own in range(i, 3 * i + 2)), label="?") for i in range(5)]


def of_texts(recipe_file: Path, task: str) -> np.ndarray:
    expert = BertForSequenceClassification.from_pretrained(recipe_file.parent / task).eval()
    rows = [expert(**tokenizer()(row.text, return_tensors="pt")).logits[0] for row in TEXTS]
    return torch.stack(rows).numpy()


def check(experts: Path, labels: dict[str, tuple[str, ...]], rows: list[Row], expected: dict[str, np.ndarray]) -> None:
    """All tasks' rows in one batch, answered by each expert's encoder in turn, and by all of them at once."""
    encoders = load_encoders(experts, tuple(labels))
    asked = {task: [replace(own, label=names[0]) for own in rows] for task, names in labels.items()}
    everything = [(task, place) for task in asked for place in range(len(rows))]
    for number, task in enumerate(labels):
        found = merged(encoders, asked, [(np.eye(len(labels))[number], everything)])
        np.testing.assert_allclose(found[task], expected[task], atol=1e-5)
    for number, (task, own) in enumerate(examples_of(encoders, asked).items()):
        np.testing.assert_allclose(own.logits[:, number], expected[task], atol=1e-5)
        assert not np.allclose(own.logits[:, number - 1], expected[task], atol=0.1)


@torch.inference_mode()
def test_texts(recipe_file: Path) -> None:
    check(recipe_file.parent, LABELS, TEXTS, {task: of_texts(recipe_file, task) for task in LABELS})


@torch.inference_mode()
def test_images(tmp_path: Path) -> None:
    images.write_checkpoints(tmp_path)
    for task in images.LABELS:
        images.processor().save_pretrained(tmp_path / task)
    rows = [Row(image=tmp_path / f"{number}.png", label="?") for number in range(4)]
    for number, row in enumerate(rows):
        row.image.write_bytes(images.picture(number, mode="L" if number == 0 else "RGB"))
    processor = AutoImageProcessor.from_pretrained(tmp_path / "hue", backend="pil")
    pixels = processor([Image.open(row.image) for row in rows], return_tensors="pt")
    experts = {task: Dinov2ForImageClassification.from_pretrained(tmp_path / task).eval() for task in images.LABELS}
    check(tmp_path, images.LABELS, rows, {task: own(**pixels).logits.numpy() for task, own in experts.items()})
