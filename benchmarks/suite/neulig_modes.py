"""NeuLig's modes on a suite of experts: what encoders make of rows, weighed; or encoders, weighed and run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from merge_builder.evaluation import Row
from merge_builder.tuning.neulig import Examples, Portland, Schedule, alignment_scores, merge, neulig_loss, train, zeros

MAX_LENGTH = 64
BATCH, RATES, PATIENCE = 128, (1e-3, 1e-4, 1e-5), 20
Floats = NDArray[np.float64]
# Rows as a model of transformers takes them.
Prepare = Callable[[Sequence[Row]], Mapping[str, Any]]


@dataclass(frozen=True)
class Encoders:
    """The experts' encoders, and their heads, which are linear on what encoders make.

    `model` is an expert whose head gives back what it is given; `weights`, of all encoders, leaves out tensors that are
    the same in all of them.
    """

    tasks: tuple[str, ...]
    prepare: Prepare
    model: Any
    weights: tuple[Mapping[str, NDArray[np.float32]], ...]
    heads: Mapping[str, tuple[Floats, Floats]]
    labels: Mapping[str, Mapping[str, int]]

    @torch.inference_mode()
    def features(self, weights: Mapping[str, NDArray[np.float32]], rows: Sequence[Row]) -> Floats:
        """(rows, width): what a head reads of an encoder of these weights, 32 rows of like length at once."""
        for name, values in weights.items():
            self.model.base_model.get_parameter(name).copy_(torch.from_numpy(values))
        order = sorted(range(len(rows)), key=lambda at: len(rows[at].text) + len(rows[at].text_pair or ""))
        found = np.zeros((len(rows), self.heads[self.tasks[0]][0].shape[1]))
        for start in range(0, len(order), 32):
            at = order[start : start + 32]
            found[at] = self.model(**self.prepare([rows[place] for place in at])).logits.double().numpy()
        return found

    def logits(self, task: str, features: Floats) -> Floats:
        """What the task's head makes of features of any number of axes."""
        weight, bias = self.heads[task]
        return np.asarray(features @ weight.T + bias)

    def ids(self, task: str, rows: Sequence[Row]) -> NDArray[np.int64]:
        """The right labels."""
        return np.array([self.labels[task][row.label] for row in rows])


def load_encoders(experts: Path, tasks: Sequence[str]) -> Encoders:
    """The experts of texts or of images in `experts/<task>`; rows are prepared as the first one's folder says."""
    first = experts / tasks[0]
    images = (first / "preprocessor_config.json").exists()
    family = AutoModelForImageClassification if images else AutoModelForSequenceClassification
    models = {task: family.from_pretrained(experts / task).eval().requires_grad_(False) for task in tasks}
    states = {task: {n: p.numpy() for n, p in m.base_model.named_parameters()} for task, m in models.items()}
    own, *others = states.values()
    moved = [name for name, values in own.items() if not all(np.array_equal(values, other[name]) for other in others)]
    heads = {t: tuple(p.double().numpy() for p in m.classifier.parameters()) for t, m in models.items()}
    model = models[tasks[0]]
    model.classifier = torch.nn.Identity()
    return Encoders(
        tasks=tuple(tasks),
        prepare=_images(first) if images else _texts(first),
        model=model,
        # Copies: the first model is the one that is written to.
        weights=tuple({name: state[name].copy() for name in moved} for state in states.values()),
        heads={task: (weight, bias) for task, (weight, bias) in heads.items()},
        labels={task: {own: int(k) for k, own in model.config.id2label.items()} for task, model in models.items()},
    )


def _texts(folder: Path) -> Prepare:
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def prepare(rows: Sequence[Row]) -> Mapping[str, Any]:
        together = [row.text if row.text_pair is None else (row.text, row.text_pair) for row in rows]
        tokens: Mapping[str, Any] = tokenizer(
            together, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
        )
        return tokens

    return prepare


def _images(folder: Path) -> Prepare:
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")

    def prepare(rows: Sequence[Row]) -> Mapping[str, Any]:
        images = []
        for row in rows:
            with Image.open(str(row.image)) as image:
                images.append(image.convert("RGB"))
        pixels: Mapping[str, Any] = processor(images, return_tensors="pt")
        return pixels

    return prepare


def examples_of(encoders: Encoders, rows: Mapping[str, Sequence[Row]]) -> dict[str, Examples]:
    """Every encoder on every row: M forward passes a row."""
    everything = [(task, row) for task, own in rows.items() for row in own]
    made = np.stack([encoders.features(own, [row for _, row in everything]) for own in encoders.weights], axis=1)
    found, start = {}, 0
    for task, own in rows.items():
        mine = made[start : start + len(own)]
        start += len(own)
        found[task] = Examples(mine.reshape(len(own), -1), encoders.ids(task, own), encoders.logits(task, mine))
    return found


def trained(encoders: Encoders, examples: Mapping[str, Examples], kind: str, seed: int) -> Portland:
    """The Portland network by the paper's loss and batch, on features of mean 0 and spread 1.

    A fifth of the examples tells when to stop, and which of `RATES` it is: how far a step moves a score grows with the
    features' number and size, and at the paper's 1e-3 the loss may not fall even once.
    """
    seen, watched = [], []
    for number, own in enumerate(examples.values()):
        order = np.random.default_rng([seed, number]).permutation(len(own.labels))
        cut = len(order) // 5
        watched.append(own.take(order[:cut]))
        seen.append(own.take(order[cut:]))
    together = np.concatenate([own.features for own in seen])
    centre, spread = together.mean(axis=0), np.maximum(together.std(axis=0), 1e-6)
    seen, watched = (
        [replace(own, features=(own.features - centre) / spread) for own in part] for part in (seen, watched)
    )
    loss = neulig_loss(kind, alignment_scores(encoders.weights))
    start = zeros(len(encoders.tasks), together.shape[1])
    networks = [train(start, seen, loss, Schedule(1000, BATCH, rate, PATIENCE, seed), watched) for rate in RATES]
    best = min(networks, key=lambda own: sum(loss(own.betas(part.features), part)[0] for part in watched))
    weight = best.weight / spread
    return Portland(weight, best.bias - weight @ centre)


def ensembled(examples: Mapping[str, Examples], betas: Mapping[str, Floats]) -> dict[str, Floats]:
    """Every task's logits, (rows, labels), in ensembling mode."""
    return {task: np.einsum("nm,nmc->nc", betas[task], own.logits) for task, own in examples.items()}


def merged(
    encoders: Encoders, rows: Mapping[str, Sequence[Row]], batches: Sequence[tuple[Floats, Sequence[tuple[str, int]]]]
) -> dict[str, Floats]:
    """Every task's logits where each batch, of (task, place) rows, is answered by the encoder that its betas make."""
    found = {task: np.zeros((len(own), len(encoders.heads[task][1]))) for task, own in rows.items()}
    for betas, at in batches:
        features = encoders.features(merge(encoders.weights, betas), [rows[task][place] for task, place in at])
        for (task, place), own in zip(at, features, strict=True):
            found[task][place] = encoders.logits(task, own)
    return found


def homogeneous(betas: Mapping[str, Floats]) -> Iterator[tuple[Floats, list[tuple[str, int]]]]:
    """Batches of one task, each with its first row's betas: as the paper's code evaluates."""
    for task, own in betas.items():
        for start in range(0, len(own), BATCH):
            yield own[start], [(task, place) for place in range(start, min(start + BATCH, len(own)))]


def mixed(betas: Mapping[str, Floats], seed: int) -> Iterator[tuple[Floats, list[tuple[str, int]]]]:
    """The same with the tasks mixed, as a server has them."""
    at = [(task, place) for task, own in betas.items() for place in range(len(own))]
    at = [at[number] for number in np.random.default_rng(seed).permutation(len(at))]
    for start in range(0, len(at), BATCH):
        task, place = at[start]
        yield betas[task][place], at[start : start + BATCH]
