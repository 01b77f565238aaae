"""Rungs of a ladder of image classifiers on the images of npz files, by transformers' own forward pass."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from vision_experts import pixels

from merge_builder.blocks.partition import layout_of
from merge_builder.checkpoints.files import sha256_of
from merge_builder.evaluation import Row, Runner, TaskData
from merge_builder.export import find_task
from merge_builder.ladder import Ladder, RungSize, rung_at
from merge_builder.task_weights import open_task

BATCH = 32


def image_data(folder: Path, tasks: Sequence[str], split: str, rows: int) -> dict[str, TaskData]:
    """The first `rows` images of `split` of each task; a row's text is the image's number in `<task>.npz`."""
    data = {}
    for task in tasks:
        with np.load(folder / f"{task}.npz") as arrays:
            names, ids = arrays["label_names"], arrays[f"{split}_labels"][:rows].tolist()
        labelled = tuple(Row(text=str(number), label=str(names[label])) for number, label in enumerate(ids))
        data[task] = TaskData(labelled, tuple(ids), sha256_of(folder / f"{task}.npz"))
    return data


def image_runner(ladder: Ladder, folder: Path, split: str, side: int) -> Runner:
    """A runner over the images of `folder`, brought to `side` pixels a side."""
    models: dict[str, Any] = {}

    @torch.inference_mode()
    def run(rung: RungSize, task: str, rows: Sequence[Row]) -> NDArray[np.float32]:
        with np.load(folder / f"{task}.npz") as arrays:
            images = arrays[f"{split}_images"][: len(rows)]
        if task not in models:
            models[task] = _model(ladder, task)
        model = models[task]
        layout = layout_of(find_task(ladder, task).config, ladder.root)
        with open_task(ladder, rung_at(ladder.manifest, rung.index), task) as stored:
            found = {name: stored[layout.canonical(name)] for name in model.state_dict()}
            weights = {
                name: torch.from_numpy(tensor.read().astype(np.float32, copy=False)).reshape(tensor.shape)
                for name, tensor in found.items()
            }
        model.load_state_dict(weights, assign=True)
        processor = _processor(ladder, task)
        batches = (pixels(images[at : at + BATCH], processor, side) for at in range(0, len(images), BATCH))
        logits = torch.cat([model(pixel_values=batch).logits for batch in batches])
        values: NDArray[np.float32] = logits.numpy()
        return values

    return run


def _processor(ladder: Ladder, task: str) -> dict[str, Any]:
    """The expert's own image processor, or the base's where it has none, as the product has it."""
    own = find_task(ladder, task).preprocessing or {}
    if "processor_config.json" in own:
        processor: dict[str, Any] = own["processor_config.json"]["image_processor"]
    elif "preprocessor_config.json" in own:
        processor = own["preprocessor_config.json"]
    else:
        processor = json.loads((ladder.base_dir / "preprocessor_config.json").read_text())
    return processor


def _model(ladder: Ladder, task: str) -> Any:
    config = find_task(ladder, task).config
    known = transformers.AutoConfig.for_model(**config)
    return transformers.AutoModelForImageClassification.from_config(known).eval()
