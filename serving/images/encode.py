"""From the image files of a request to the engine's inputs. All of this may run in many threads at once.

encoder = ImageEncoder(load_processors(ladder, ladder.manifest.tasks), engine.image_tokens)
encoder.measure(0, ImageFile(data), ("fashion",))   # by its header: nothing is decoded
encoder.encode(0, ImageFile(data), ("fashion",))
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image as Pillow

from merge_builder.errors import InputError
from serving.encoding import Row
from serving.engine.types import Image
from serving.errors import ImageTooLarge, RequestError, UnreadableImage
from serving.images.decode import TooManyPixels, Unreadable, open_image, to_rgb
from serving.images.preprocess import Processor
from serving.images.processors import by_processor
from serving.inputs import ImageFile


@dataclass(frozen=True)
class Measure:
    """What an image costs: the pixels to decode, and the tokens in the engine, once for each task asked."""

    pixels: int
    tokens: int


@dataclass(frozen=True)
class ImageEncoder:
    """`processors` are those of `serving.images.processors`; `tokens(height, width)` counts those of a preprocessed
    image, or raises InputError."""

    processors: Mapping[str, Processor]
    tokens: Callable[[int, int], int]

    def measure(self, place: int, item: ImageFile, tasks: Sequence[str]) -> Measure:
        """What the image costs `tasks`, by its header.

        Raises:
            UnreadableImage, ImageTooLarge, RequestError: it cannot be an input; `place` is its place in the request.
        """
        with _at(place):
            image = open_image(item.data)
            tokens = 0
            for processor, names in by_processor(self.processors, tasks):
                tokens += self._tokens(names, *processor.size(image.height, image.width)) * len(names)
            return Measure(image.width * image.height, tokens)

    def encode(self, place: int, item: ImageFile, tasks: Sequence[str]) -> list[Row]:
        """`images`, as rows of the place in the request.

        Raises:
            UnreadableImage, ImageTooLarge, RequestError: as `measure`, and where the file turns out to be damaged.
        """
        with _at(place):
            return [Row(place, image) for image in self.images(item, tasks)]

    def images(self, item: ImageFile, tasks: Sequence[str]) -> list[Image]:
        """The image decoded once and preprocessed for `tasks`, once for all whose processors make the same pixels.

        Raises:
            InputError: it cannot be an input; the message begins with a verb.
        """
        image = to_rgb(open_image(item.data))
        made = [(processor.process(image), names) for processor, names in by_processor(self.processors, tasks)]
        return [Image(pixels, names, self._tokens(names, *pixels.shape[1:])) for pixels, names in made]

    def _tokens(self, tasks: Sequence[str], height: int, width: int) -> int:
        try:
            return self.tokens(height, width)
        except InputError as error:
            raise InputError(f"cannot be taken as task {tasks[0]!r} prepares it: {error}") from error


@contextmanager
def _at(place: int) -> Iterator[None]:
    param = f"inputs[{place}]"
    try:
        yield
    except TooManyPixels as error:
        raise ImageTooLarge(f"{param} {error}", param) from error
    except Unreadable as error:
        raise UnreadableImage(f"{param} {error}", param) from error
    except InputError as error:
        raise RequestError(f"{param} {error}", param) from error


def grey() -> ImageFile:
    """An image that shows nothing, to try an engine with."""
    file = io.BytesIO()
    Pillow.new("RGB", (224, 224), (128, 128, 128)).save(file, "PNG")
    return ImageFile(file.getvalue())
