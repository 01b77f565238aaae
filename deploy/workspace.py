"""What a batch needs beside the weights: measured, by running the largest one that the batcher forms."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.engine.engine import Engine
    from serving.engine.types import Input

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def measure_workspace(engine: "Engine", tokens: int) -> int:
    """The bytes that a batch of `tokens` tokens, of one task's longest texts or of images, takes at its peak. Blocking.

    On CUDA those of torch's allocator; on the CPU the growth of the process's resident set.
    """
    item = _longest(engine, tokens)
    batch = [item] * max(1, tokens // item.length)
    if engine.device.startswith("cuda"):
        return _cuda_peak(engine, batch)
    engine.run([item])  # what is touched once, and is no workspace, is touched now
    before = _status("VmRSS")
    _forget_peak()
    engine.run(batch)
    return max(0, _status("VmHWM") - before)


def _longest(engine: "Engine", tokens: int) -> "Input":
    from merge_builder.errors import InputError
    from serving.engine.types import Encoded
    from serving.images.encode import ImageEncoder, grey
    from serving.images.processors import load_processors

    every = engine.ladder.manifest.tasks
    if engine.modality == "image":
        processors = load_processors(engine.ladder, every)
        try:
            made = ImageEncoder(processors, engine.image_tokens).images(grey(), tuple(processors))
        except InputError as error:
            raise InputError(f"{engine.ladder.root}: an image {error}") from error
        largest = max(made, key=lambda image: image.length)
        return replace(largest, tasks=largest.tasks[:1])
    task = every[0].name
    length = min(engine.max_length(task), tokens)
    return Encoded((0,) * length, (0,) * length, (task,))


def _cuda_peak(engine: "Engine", batch: list["Input"]) -> int:
    import torch

    torch.cuda.reset_peak_memory_stats(engine.device)
    before = torch.cuda.memory_allocated(engine.device)
    engine.run(batch)
    return int(torch.cuda.max_memory_allocated(engine.device)) - int(before)


def _forget_peak() -> None:
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:  # not allowed in this container: the peak of the whole life, which is more, is taken instead
        return


def _status(name: str) -> int:
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
