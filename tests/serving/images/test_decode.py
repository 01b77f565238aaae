"""The oracle of colours is transformers' own processor, given Pillow's image; of bounds, files made to break them."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from transformers import ViTImageProcessorPil

from serving.images.decode import TooManyPixels, Unreadable, open_image, to_rgb

HEIGHT, WIDTH = 37, 53


def _noise(*channels: int) -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, *channels), np.uint8)


def _deep_noise(*channels: int) -> NDArray[np.uint16]:
    return np.random.default_rng(5).integers(0, 65536, (HEIGHT, WIDTH, *channels), np.uint16)


def _file(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def _decode(data: bytes) -> NDArray[np.uint8]:
    image = to_rgb(open_image(data))
    assert image.mode == "RGB"
    return np.asarray(image)


RGB = Image.fromarray(_noise(3))
SMOOTH = Image.fromarray(_noise(3)).resize((WIDTH, HEIGHT), box=(0, 0, 4, 4))
PALETTE = RGB.convert("P", palette=Image.Palette.ADAPTIVE)
GREY = Image.fromarray(_noise())
FILES = {
    "png": _file(RGB, "PNG"),
    "png in 1 bit": _file(GREY.convert("1"), "PNG"),
    "png in grey": _file(GREY, "PNG"),
    "png with alpha": _file(Image.fromarray(_noise(4)), "PNG"),
    "png in grey with alpha": _file(Image.fromarray(_noise(2), "LA"), "PNG"),
    "png in grey with one clear shade": _file(GREY, "PNG", transparency=7),
    "png with a clear colour": _file(RGB, "PNG", transparency=RGB.getpixel((3, 4))),
    "png of a palette": _file(PALETTE, "PNG"),
    "png of a palette with a clear colour": _file(PALETTE, "PNG", transparency=3),
    "png of a palette with alphas": _file(PALETTE, "PNG", transparency=bytes(range(256))),
    "jpeg": _file(RGB, "JPEG"),
    "jpeg, progressive": _file(RGB, "JPEG", progressive=True),
    "jpeg in grey": _file(GREY, "JPEG"),
    "jpeg in cmyk": _file(RGB.convert("CMYK"), "JPEG"),
    "webp": _file(RGB, "WEBP"),
    "webp with alpha": _file(Image.fromarray(_noise(4)), "WEBP", lossless=True),
    "gif": _file(PALETTE, "GIF"),
    "gif with a clear colour": _file(PALETTE, "GIF", transparency=3),
    "bmp": _file(RGB, "BMP"),
}


@pytest.mark.parametrize("name", FILES)
def test_colours_are_those_that_transformers_makes_of_them(name: str) -> None:
    processor = ViTImageProcessorPil(do_resize=False, do_rescale=False, do_normalize=False, do_convert_rgb=True)
    theirs = processor(images=Image.open(io.BytesIO(FILES[name])), return_tensors="np")["pixel_values"][0]
    np.testing.assert_array_equal(_decode(FILES[name]), np.moveaxis(theirs, 0, -1))


def test_transparency_is_laid_on_white_in_a_tall_image_too() -> None:
    clear = Image.new("RGBA", (5, 1_001), (10, 20, 30, 0))
    assert (_decode(_file(clear, "PNG")) == 255).all()


@pytest.mark.parametrize("clear", [None, 4097])
def test_of_16_bits_the_higher_8_stay(clear: int | None) -> None:
    values = _deep_noise()
    values[3, 4] = values[5, 6] = 4097
    data = _file(Image.fromarray(values), "PNG")
    if clear is not None:  # which Pillow does not write of 16 bits
        head = data.index(b"IDAT") - 4
        data = data[:head] + _chunk(b"tRNS", struct.pack(">H", clear)) + data[head:]
    expected = (values >> 8).astype(np.uint8)
    if clear is not None:
        expected[values == clear] = 255
    np.testing.assert_array_equal(_decode(data), np.repeat(expected[..., None], 3, axis=2))


def test_16_bit_colours_keep_the_higher_8_too() -> None:
    values = _deep_noise(3)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    np.testing.assert_array_equal(_decode(_png(WIDTH, HEIGHT, rows, depth=16)), (values >> 8).astype(np.uint8))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_stands_upright(orientation: int, format: str) -> None:
    stored = SMOOTH.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Rows and columns of the stored image, by what EXIF 2.32 says of the tag.
    turns: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.swapaxes(0, 1),
        6: lambda x: x[::-1].swapaxes(0, 1),
        7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
        8: lambda x: x[:, ::-1].swapaxes(0, 1),
    }
    found = _decode(_file(stored, format, exif=exif))
    np.testing.assert_array_equal(found, turns[orientation](_decode(_file(stored, format))))


def test_a_photo_with_a_preview_inside_is_one_image() -> None:
    photo = _file(RGB, "MPO", save_all=True, append_images=[RGB.resize((8, 8))])
    assert Image.open(io.BytesIO(photo)).format == "MPO"
    np.testing.assert_array_equal(_decode(photo), np.asarray(Image.open(io.BytesIO(photo)).convert("RGB")))


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_refused_and_its_one_frame_is_not(format: str) -> None:
    moving = _file(RGB, format, save_all=True, append_images=[Image.fromarray(255 - _noise(3))])
    with pytest.raises(Unreadable, match="animated"):
        open_image(moving)
    assert _decode(_file(RGB, format, save_all=True)).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off_is_refused(name: str) -> None:
    whole = FILES[name]
    for length in (0, 1, 7, 20, len(whole) // 2, len(whole) - len(whole) // 8):
        with pytest.raises(Unreadable):
            _decode(whole[:length])


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_decoded_or_refused_and_nothing_else(name: str) -> None:
    rng = np.random.default_rng(0)
    decoded = 0
    for _ in range(60):
        data = bytearray(FILES[name])
        for place in rng.integers(0, min(len(data), 400), 3):
            data[place] = rng.integers(0, 256)
        with suppress(Unreadable):
            decoded += bool(_decode(bytes(data)).size)
    assert decoded < 60


@pytest.mark.parametrize("data", [b"no image", b"%PDF-1.7 " + bytes(99), b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_image_is_refused_without_a_word_of_it(data: bytes) -> None:
    with pytest.raises(Unreadable, match="no image file of a format that is read: JPEG, PNG") as caught:
        open_image(data)
    assert "BytesIO" not in str(caught.value)


@pytest.mark.parametrize("format", ["TIFF", "ICO", "PPM", "EPS", "PDF", "TGA"])
def test_other_formats_are_not_opened(format: str) -> None:
    with pytest.raises(Unreadable, match="of a format that is read"):
        open_image(_file(RGB, format))


@pytest.mark.parametrize("side", [5_001, 20_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    bomb = _png(side, side, bytes(100_000))
    tracemalloc.start()
    with pytest.raises(TooManyPixels, match="25000000"):
        open_image(bomb)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_a_webp_bomb_is_refused_by_its_header() -> None:
    bomb = _file(Image.new("RGB", (6_000, 5_000)), "WEBP", lossless=True, quality=0, method=0)
    assert len(bomb) < 100
    with pytest.raises(TooManyPixels, match="6000 x 5000"):
        open_image(bomb)


def test_the_largest_allowed_is_opened() -> None:
    assert open_image(_file(Image.new("1", (5_000, 5_000)), "PNG")).size == (5_000, 5_000)
    with pytest.raises(TooManyPixels, match="at most 99 are taken"):
        open_image(_file(Image.new("1", (10, 10)), "PNG"), max_pixels=99)


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    whole = _file(RGB, "JPEG", progressive=True)
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    bomb = whole[:-2] + 60 * scan + whole[-2:]
    with pytest.raises(Unreadable, match="more than 64 scans"):
        open_image(bomb)
    assert open_image(whole).size == (WIDTH, HEIGHT)


def test_a_large_text_inside_is_refused() -> None:
    note = PngImagePlugin.PngInfo()
    note.add_text("note", "x" * 50_000_000, zip=True)
    data = _file(RGB, "PNG", pnginfo=note)
    assert len(data) < 100_000
    with pytest.raises(Unreadable):
        _decode(data)


def _png(width: int, height: int, rows: bytes, depth: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
