"""Images: the engine against transformers' own forward pass, on one model, with eight tasks mixed, with sizes mixed.

    python benchmarks/engine/images.py --base BASE --work DIR

BASE is a transformers folder; its weights may be random. Experts are the base moved at random and merged by averages,
and images are random: only speed matters here. transformers gets the images stacked, a batch for each size where sizes
differ; Swin and CLIP get one size. It is timed before the engine is loaded too, which sets the whole process's
allocator to keep freed memory.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import transformers
import yaml
from interleaved import interleaved, ratio
from numpy.typing import NDArray

from merge_builder.build import build
from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at, select
from merge_builder.recipe import load_recipe
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Image

TASKS = tuple("abcdefgh")
RUNGS = ("1", "2", "4", "#0")
BATCHES = (1, 4, 16, 64)
# transformers' Swin keeps the windows of the smallest size that it has seen; its CLIP needs a keyword.
ONE_SIZE = ("swin", "clip")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for experts and ladder, used again")
    parser.add_argument("--side", type=int, default=98, help="pixels a side")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ladder = _ladder(args)
    last, side = ladder.manifest.rungs[-1], args.side
    if not (folder := args.work / "exported").exists():
        export(ladder, TASKS[0], last, folder)
    model = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    _before_the_engine(model, [Image(_pixels(number, (side, side)), (), 0) for number in range(16)], args.rounds)
    engine = load_engine(ladder, rung_at(ladder.manifest, last.index))
    square = [_image(engine, number, TASKS[:1], (side, side)) for number in range(args.images)]
    print(f"{args.images} images of {side} x {side} pixels, {square[0].length} tokens each")
    for size in (size for size in BATCHES if size <= args.images):
        _compare(f"1x, batch {size}", model, engine, _batches(square, size), args.rounds)
    if ladder.manifest.base.model_type not in ONE_SIZE:
        half = side // 2
        sizes = [(side, side), (side, half), (half, side), (half, half)]
        mixed = [_image(engine, number, TASKS[:1], sizes[number % 4]) for number in range(args.images)]
        _compare("1x, batch 16 of four sizes", model, engine, _batches(mixed, 16), args.rounds)
    _mixed_tasks(args, ladder, [_image(engine, n, (TASKS[n % 8],), (side, side)) for n in range(args.images)])
    logits = _own(model, square[:16])
    mine = torch.stack([torch.from_numpy(answers[TASKS[0]]) for answers in engine.run(square[:16]).logits])
    print(f"greatest difference of a logit: {(logits - mine).abs().max():.1e}")


def _before_the_engine(model: Any, batch: list[Image], rounds: int) -> None:
    seconds = median(interleaved({"transformers": lambda images: _own(model, images)}, [batch], rounds)["transformers"])
    print(f"before the engine is loaded, batch 16: transformers {1000 * seconds / len(batch):.2f} CPU-ms an image")


def _compare(name: str, model: Any, engine: Engine, cut: Sequence[list[Image]], rounds: int) -> None:
    seconds = interleaved({"transformers": lambda batch: _own(model, batch), "engine": engine.run}, cut, rounds)
    count = sum(map(len, cut))
    each = {who: 1000 * median(values) / count for who, values in seconds.items()}
    print(
        f"{name}: transformers {each['transformers']:.2f} CPU-ms an image, engine {each['engine']:.2f}, "
        f"{ratio(seconds, 'transformers', 'engine'):.2f} times as fast",
        flush=True,
    )


def _mixed_tasks(args: argparse.Namespace, ladder: Ladder, images: Sequence[Image]) -> None:
    """Each image asked for a task of its own; transformers has a model for each task."""
    load = transformers.AutoModelForImageClassification.from_pretrained
    models = {task: load(args.work / task).eval() for task in TASKS}

    def one_by_one(batch: Sequence[Image]) -> None:
        for task, model in models.items():
            _own(model, [item for item in batch if item.tasks == (task,)])

    rungs = [rung_at(ladder.manifest, select(ladder.manifest, size).index) for size in RUNGS]
    contenders = {f"{rung.size.ratio:.2f}x": load_engine(ladder, rung).run for rung in rungs}
    seconds = interleaved(contenders | {"transformers": one_by_one}, _batches(images, 16), args.rounds)
    for name in contenders:
        print(
            f"eight tasks mixed, batch 16, {name}: {ratio(seconds, 'transformers', name):.2f} times as fast as "
            f"transformers with a model a task, {ratio(seconds, next(iter(contenders)), name):.2f} of the speed at 1x"
        )


@torch.inference_mode()
def _own(model: Any, batch: Sequence[Image]) -> torch.Tensor:
    """transformers' logits, (images, labels), sizes in the order of their first image."""
    sizes = dict.fromkeys(item.pixels.shape for item in batch)
    same = [np.stack([item.pixels for item in batch if item.pixels.shape == size]) for size in sizes]
    return torch.cat([model(pixel_values=torch.from_numpy(pixels)).logits for pixels in same])


def _image(engine: Engine, seed: int, tasks: tuple[str, ...], size: tuple[int, int]) -> Image:
    return Image(_pixels(seed, size), tasks, engine.image_tokens(*size))


def _pixels(seed: int, size: tuple[int, int]) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((3, *size), np.float32)


def _batches(images: Sequence[Image], size: int) -> list[list[Image]]:
    return [list(images[at : at + size]) for at in range(0, len(images), size)]


def _ladder(args: argparse.Namespace) -> Ladder:
    args.work.mkdir(parents=True, exist_ok=True)
    for number, task in enumerate(TASKS):
        if not (args.work / task).exists():
            torch.manual_seed(number)
            expert = transformers.AutoModelForImageClassification.from_pretrained(
                args.base, num_labels=2 + number, dtype=torch.float32
            )
            with torch.no_grad():
                for parameter in expert.base_model.parameters():
                    parameter.add_(1e-3 * torch.randn_like(parameter))
            expert.save_pretrained(args.work / task)
    recipe = args.work / "recipe.yaml"
    tasks = {task: {"model": task} for task in TASKS}
    average = {"method": {"name": "average"}, "linkage": "sum"}
    recipe.write_text(yaml.safe_dump({"base": str(args.base.resolve()), "tasks": tasks} | average))
    return build(load_recipe(recipe), args.work / "ladder")


if __name__ == "__main__":
    main()
