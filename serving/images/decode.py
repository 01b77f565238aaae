"""From the bytes of an image file to its pixels as people see it, within bounds that are checked before any decoding.

image = to_rgb(open_image(data))

JPEG, PNG, WebP, GIF and BMP are read, and no other: every decoder more is one more that strangers can feed. What the
file's header tells is enough to refuse one that is too large or moves, or whose scans would keep a decoder busy.
"""

import io
import math

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose

from merge_builder.errors import InputError

MAX_PIXELS = 25_000_000  # a camera's 6000 x 4000; decoded they are 100 MB, twice that where they have transparency
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_MOST_SCANS = 64  # of a progressive JPEG: encoders write about ten, and each is one more pass over all its pixels
_START_OF_SCAN = b"\xff\xda"
_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK")
_BAND = 256  # rows that are laid on white at once


class Unreadable(InputError):
    """The file is no image that is read here: of another format, damaged, animated. The message begins with a verb."""


class TooManyPixels(Unreadable):
    """The image has more pixels than are decoded."""


def open_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image in `data`, with its size and nothing decoded yet.

    Raises:
        TooManyPixels: it has more than `max_pixels` pixels.
        Unreadable: it is of no known format, damaged in its header, animated, or a JPEG of very many scans.
    """
    if not data:
        raise Unreadable("is empty: send the bytes of an image file")
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        moving = image.format != "MPO" and getattr(image, "is_animated", False)  # MPO: a photo with its preview
    except UnidentifiedImageError:
        raise Unreadable(f"is no image file of a format that is read: {', '.join(_FORMATS)}") from None
    except Image.DecompressionBombError:
        raise TooManyPixels(f"has more pixels than are taken, {max_pixels}: send it smaller") from None
    except Exception as error:
        raise _damaged(error) from None
    if math.prod(image.size) > max_pixels:
        raise TooManyPixels(f"has {image.width} x {image.height} pixels and at most {max_pixels} are taken: shrink it")
    if moving:
        raise Unreadable("is animated: send one of its frames, as an image of its own")
    if image.format in ("JPEG", "MPO") and data.count(_START_OF_SCAN) > _MOST_SCANS:
        raise Unreadable(f"is a JPEG of more than {_MOST_SCANS} scans: save it anew")
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """`image`, which `open_image` opened, decoded, upright and in RGB.

    It is turned as its EXIF orientation tells. What is transparent lies on white, as transformers' `convert_to_rgb`
    has it. 16 bits a channel become the higher 8. Colour profiles are not looked at, as no image processor does.

    Raises:
        Unreadable: the file is damaged or truncated, or its pixels are of a kind that no model here takes.
    """
    try:
        image.load()
        turned = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
        image = _rgb(image)
        return image if turned is None else image.transpose(turned)
    except (Unreadable, MemoryError):
        raise
    except Exception as error:
        raise _damaged(error) from None


def _damaged(error: Exception) -> Unreadable:
    """What Pillow stumbled on in a file, which it tells by nearly any exception; none of its words, which may quote."""
    return Unreadable(f"is damaged or cut off ({type(error).__name__}): send the whole file")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _from_16_bits(image)
    if image.mode not in _MODES:
        raise Unreadable(f"has pixels of the kind {image.mode}: save it with 8 bits a channel")
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Shades of grey, of which the higher byte stays, as it does of 16-bit colours."""
    values = np.asarray(image)
    shades = (values >> 8).astype(np.uint8)
    if (clear := image.info.get("transparency")) is not None:
        shades[values == clear] = 255
    return Image.fromarray(shades).convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """`image` over white, band by band: whole it would be held four times."""
    whole = Image.new("RGB", image.size)
    for top in range(0, image.height, _BAND):
        band = image.crop((0, top, image.width, min(top + _BAND, image.height))).convert("RGBA")
        white = Image.new("RGBA", band.size, (255, 255, 255, 255))
        whole.paste(Image.alpha_composite(white, band).convert("RGB"), (0, top))
    return whole
