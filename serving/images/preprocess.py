"""From RGB pixels to a model's input, as transformers' own image processor of the checkpoint computes it, bit for bit.

processor = load_processor(ladder.base_dir)
processor.process(image)      # float32 (3, height, width)

transformers reads the configuration, with its classes' defaults and its older spellings. The few operations run here:
every channel of a pixel is one of 256 values, so scaling and normalisation are a look-up, and what is cropped away is
never scaled at all. Pillow's resampling is the reference; torchvision's differs from it by a shade or so.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling
from transformers import AutoImageProcessor
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_base import ImageProcessingMixin

from merge_builder.errors import InputError
from serving.images.decode import MAX_PIXELS, TooManyPixels

_CHANNELS = 3
# What the configuration may hold beside what is read here: names, and what concerns other uses of the processor.
_WITHOUT_EFFECT = {
    "_processor_class", "_valid_processor_keys", "auto_map", "default_to_square", "disable_grouping",
    "do_convert_rgb", "do_reduce_labels", "feature_extractor_type", "image_processor_type", "processor_class",
    "reduce_labels", "use_fast",
}  # fmt: skip
_READ = {
    "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
    "image_mean", "image_std",
}  # fmt: skip
_STEPS = ("_preprocess", "resize", "center_crop", "rescale", "normalize", "process_image")


@dataclass(frozen=True)
class Resize:
    """To `size`, (height, width); or, where that is a number, so that the shorter edge has it."""

    size: tuple[int, int] | int
    resample: Resampling

    def target(self, height: int, width: int) -> tuple[int, int]:
        """The height and width that an image of this height and width gets."""
        if not isinstance(self.size, int):
            return self.size
        long = int(self.size * max(height, width) / min(height, width))
        return (self.size, long) if height <= width else (long, self.size)


@dataclass(frozen=True)
class Processor:
    """Resize, then crop to (height, width) around the centre, then look up; the first two where there are any.

    `table` is float32 of shape (3, 256): what becomes of a channel's value.
    """

    resize: Resize | None
    crop: tuple[int, int] | None
    table: NDArray[np.float32]

    def size(self, height: int, width: int) -> tuple[int, int]:
        """The height and width of what `process` makes of an image of this height and width.

        Raises:
            TooManyPixels: resized, a very long and narrow image would have more pixels than are ever decoded.
        """
        if self.resize is not None:
            height, width = self.resize.target(height, width)
            if height * width > MAX_PIXELS:
                raise TooManyPixels("is too long for its breadth: cut it")
        return self.crop or (height, width)

    def process(self, image: Image.Image) -> NDArray[np.float32]:
        """The model's input, float32 of shape (3, height, width), for an RGB image.

        Raises:
            TooManyPixels: as `size`.
        """
        self.size(image.height, image.width)
        if self.resize is not None:
            height, width = self.resize.target(image.height, image.width)
            image = image.resize((width, height), self.resize.resample)
        if self.crop is not None:
            height, width = self.crop
            top, left = (image.height - height) // 2, (image.width - width) // 2
            image = image.crop((left, top, left + width, top + height))  # black where it reaches beyond the image
        pixels = np.empty((_CHANNELS, image.height, image.width), np.float32)
        for channel, band in enumerate(image.split()):
            np.take(self.table[channel], np.asarray(band), out=pixels[channel], mode="clip")
        return pixels


def load_processor(folder: Path, source: str | None = None) -> Processor:
    """The image processor whose configuration lies in `folder`, which errors call `source` where that is given.

    Raises:
        InputError: there is none, or it asks for anything that is not done here; the message names that.
    """
    try:
        config, _ = ImageProcessingMixin.get_image_processor_dict(folder, local_files_only=True)
        loaded = AutoImageProcessor.from_pretrained(
            folder, backend="pil", local_files_only=True, trust_remote_code=False
        )
        _check_known(config, loaded)
        return Processor(_resize(loaded), _crop(loaded), _table(loaded))
    except (OSError, ValueError, TypeError, AttributeError) as error:  # as its code meets what it did not expect
        named = source or str(folder)
        told = " ".join(str(error).split()).replace(str(folder), named)
        raise InputError(f"no image processor can be read from {named}: {told}") from error


def _check_known(config: Mapping[str, Any], loaded: Any) -> None:
    """Whatever else a configuration or its class may ask for must be off."""
    for key, value in config.items():
        # None and false ask for nothing; that is how transformers writes what is not used.
        if key not in _READ | _WITHOUT_EFFECT and value not in (None, False, "channels_first"):
            raise ValueError(f"its {key} is not known, so that what it makes of an image cannot be told")
    kind, name = type(loaded), type(loaded).__name__.removesuffix("Pil")
    own = [step for step in _STEPS if getattr(kind, step, None) is not getattr(PilBackend, step)]
    if own and (name, own) != ("BeitImageProcessor", ["_preprocess"]):  # that one's concerns maps of labels alone
        raise ValueError(f"{name} has a way of its own to {own[0].strip('_')} images, which is not known here")
    if loaded.do_pad:
        raise ValueError(f"{name} pads images, which is not done here")


def _resize(loaded: Any) -> Resize | None:
    if not loaded.do_resize:
        return None
    match dict(loaded.size):
        case {"height": height, "width": width, **others} if not others:
            size: tuple[int, int] | int = (height, width)
        case {"shortest_edge": size, **others} if not others:
            pass
        case other:
            raise ValueError(f"size is {other}: it must be height and width, or shortest_edge")
    return Resize(size, Resampling(loaded.resample))


def _crop(loaded: Any) -> tuple[int, int] | None:
    if not loaded.do_center_crop:
        return None
    match dict(loaded.crop_size):
        case {"height": height, "width": width, **others} if not others:
            return height, width
        case other:
            raise ValueError(f"crop_size is {other}: it must be height and width")


def _table(loaded: Any) -> NDArray[np.float32]:
    """What `rescale` and `normalize` of transformers.image_transforms make of every value, in their precision."""
    values = np.arange(256, dtype=np.float64)
    if loaded.do_rescale:
        values = values * loaded.rescale_factor
    table = np.tile(values.astype(np.float32), (_CHANNELS, 1))
    if loaded.do_normalize:
        mean, std = (_by_channel(name, getattr(loaded, name)) for name in ("image_mean", "image_std"))
        if not std.all():
            raise ValueError("image_std is 0 for a channel")
        table = (table - mean) / std
    return table


def _by_channel(name: str, value: float | Collection[float]) -> NDArray[np.float32]:
    numbers = list(value) if isinstance(value, Collection) else [value] * _CHANNELS
    if len(numbers) != _CHANNELS:
        raise ValueError(f"{name} has {len(numbers)} numbers: only images of {_CHANNELS} channels are made")
    return np.array(numbers, np.float32)[:, None]
