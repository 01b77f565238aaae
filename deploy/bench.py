"""The engine as the bench of a search: its weights are exchanged in place, and Fisher values come from transformers.

tune(recipe, data, out, settings, engine_bench)
"""

import inspect
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification
from transformers.utils import logging

from deploy.image_rows import preprocessed
from deploy.runner import runner_of
from merge_builder.blocks import layout_of
from merge_builder.evaluation import Row
from merge_builder.export import export, find_task
from merge_builder.ladder import Ladder, RungSize, Version, rung_at
from merge_builder.tuning import Bench
from merge_builder.tuning.bench import Curvature, Tensors
from serving.engine.engine import Engine, load_engine

# Up to so many labels the sum over them is taken in full.
EXACT_LABELS = 3
_CLASSIFIERS = {"text": AutoModelForSequenceClassification, "image": AutoModelForImageClassification}


def engine_bench(ladder: Ladder) -> Bench:
    """A bench over `ladder` on the CPU, in float32."""
    engine = load_engine(ladder, rung_at(ladder.manifest, len(ladder.manifest.rungs) - 1))

    def put(rung: RungSize, versions: Mapping[Version, Tensors]) -> None:
        if engine.rung.size != rung:
            engine.swap(rung_at(ladder.manifest, rung.index))
        engine.substitute(
            {(v.block, v.id): {name: _tensor(own) for name, own in tensors.items()} for v, tensors in versions.items()}
        )

    return Bench(runner_of(engine), put, _curvature(engine))


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32, copy=False))


def _curvature(engine: Engine) -> Curvature:
    models: dict[str, torch.nn.Module] = {}

    def curvature(
        task: str, weights: Mapping[str, NDArray[np.float32]], rows: Sequence[Row]
    ) -> Mapping[str, NDArray[np.float32]]:
        if task not in models:
            models.clear()  # one at a time in memory
            models[task] = expert_model(engine.ladder, task, engine.modality)
        canonical = layout_of(find_task(engine.ladder, task).config, engine.ladder.root).canonical
        named = {canonical(name): parameter for name, parameter in models[task].named_parameters()}
        for name, parameter in named.items():
            parameter.requires_grad_(name in weights)
            if name in weights:
                parameter.data = torch.from_numpy(weights[name])
        own = {name: named[name] for name in weights}
        found = squared_gradients(models[task], own, _inputs(engine, models[task], task, rows))
        return {name: values.numpy() for name, values in found.items()}

    return curvature


def expert_model(ladder: Ladder, task: str, modality: Literal["text", "image"]) -> torch.nn.Module:
    """The task's expert as transformers' own model, in float32, without dropout."""
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        export(ladder, task, ladder.manifest.rungs[0], Path(folder) / "expert")
        model: torch.nn.Module = _CLASSIFIERS[modality].from_pretrained(Path(folder) / "expert")
    return model.float().eval()


def _inputs(engine: Engine, model: torch.nn.Module, task: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    if engine.modality == "text":
        return [_text(engine, task, row) for row in rows]
    known = inspect.signature(model.forward).parameters
    any_size = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in known else {}
    return [
        {"pixel_values": torch.from_numpy(image.pixels)[None]} | any_size for image in preprocessed(engine, task, rows)
    ]


def _text(engine: Engine, task: str, row: Row) -> dict[str, Tensor]:
    tokens = engine.tokenizer.encode([row.text], [row.text_pair], max_length=engine.max_length(task), truncate=True)[0]
    inputs = {"input_ids": torch.tensor([tokens.input_ids])}
    return inputs | ({"token_type_ids": torch.tensor([tokens.token_type_ids])} if any(tokens.token_type_ids) else {})


def squared_gradients(
    model: torch.nn.Module, weights: Mapping[str, Tensor], inputs: Sequence[Mapping[str, Any]]
) -> dict[str, Tensor]:
    """The diagonal Fisher information: the mean over the inputs of sum_c p(c|x) (d log p(c|x) / d w)^2, fp32.

    With more labels than `EXACT_LABELS` the sum is estimated from one gradient an input, that of
    sum_c s_c sqrt(p_c) log p(c|x) with random signs s, whose square has the sum as its mean (Hutchinson's estimator).
    The signs follow from the input's place, so the same inputs give the same values.
    """
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for place, own in enumerate(inputs):
        logs = torch.log_softmax(model(**own).logits[0].float(), dim=0)
        roots = logs.detach().exp().sqrt()
        if len(logs) <= EXACT_LABELS:
            goals = [root * log for root, log in zip(roots, logs, strict=True)]
        else:
            signs = np.random.default_rng(place).choice([-1.0, 1.0], len(logs))
            goals = [(torch.from_numpy(signs).float() * roots * logs).sum()]
        for number, goal in enumerate(goals):
            found = torch.autograd.grad(
                goal,
                list(weights.values()),
                retain_graph=number < len(goals) - 1,
                materialize_grads=True,  # 0 of what an input does not pass through, such as a mask token
            )
            for values, gradient in zip(total.values(), found, strict=True):
                values.addcmul_(gradient, gradient)
    return {name: values / len(inputs) for name, values in total.items()}
