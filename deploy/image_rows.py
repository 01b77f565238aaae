"""Rows of images through the engine, for an evaluation: read batch by batch, so that few are in memory at once."""

from collections.abc import Iterator, Sequence

from merge_builder.errors import InputError
from merge_builder.evaluation import Row
from merge_builder.export import find_task
from serving.engine.engine import Engine
from serving.engine.types import Image, Logits
from serving.images.encode import ImageEncoder
from serving.images.processors import load_processors
from serving.inputs import ImageFile


def run_images(engine: Engine, task: str, rows: Sequence[Row], batch_tokens: int) -> list[Logits]:
    """The logits of each row's image, in batches of at most `batch_tokens` tokens (at least one image each).

    Raises:
        InputError: a row has no image, or it cannot be read; the message names its file.
    """
    answers: list[Logits] = []
    batch: list[Image] = []
    for image in preprocessed(engine, task, rows):
        if batch and sum(item.length for item in batch) + image.length > batch_tokens:
            answers += [answer[task] for answer in engine.run(batch).logits]
            batch = []
        batch.append(image)
    return answers + [answer[task] for answer in engine.run(batch).logits]


def preprocessed(engine: Engine, task: str, rows: Sequence[Row]) -> Iterator[Image]:
    """Each row's image as the task's own processor makes it; raises as `run_images`."""
    encoder = ImageEncoder(load_processors(engine.ladder, [find_task(engine.ladder, task)]), engine.image_tokens)
    for place, row in enumerate(rows):
        if row.image is None:
            raise InputError(f"task {task!r} takes images, and its row {place + 1} is a text: give it an image")
        try:
            [image] = encoder.images(ImageFile(row.image.read_bytes()), (task,))
        except OSError as error:
            raise InputError(f"task {task!r}: an image cannot be read: {error}") from error
        except InputError as error:
            raise InputError(f"task {task!r}: {row.image} {error}") from error
        yield image
