"""The oracle is transformers' own image processor of the same configuration, given the same image."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor

from merge_builder.errors import InputError
from serving.images.decode import TooManyPixels
from serving.images.preprocess import load_processor

HALVES, IMAGENET = [0.5, 0.5, 0.5], [0.485, 0.456, 0.406]
CONFIGS: dict[str, dict[str, Any]] = {
    "vit": {"image_processor_type": "ViTImageProcessor", "size": {"height": 20, "width": 20}, "resample": 2},
    "vit of old, by its model": {"do_resize": True, "size": 20, "image_mean": HALVES, "image_std": HALVES},
    "vit by its defaults": {"image_processor_type": "ViTImageProcessorFast"},
    "vit that neither resizes nor crops": {"image_processor_type": "ViTImageProcessor", "do_resize": False},
    "vit of one mean": {"image_processor_type": "ViTImageProcessor", "size": 20, "image_mean": 0.4, "image_std": 0.3},
    "deit": {
        "image_processor_type": "DeiTImageProcessor", "size": 26, "crop_size": 20, "do_center_crop": True,
        "resample": 3, "image_mean": IMAGENET, "do_pad": False, "data_format": "channels_first",
    },
    "dinov2": {
        "image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 23}, "resample": 3,
        "crop_size": {"height": 20, "width": 20}, "image_mean": IMAGENET,
        "image_std": [0.229, 0.224, 0.225], "do_convert_rgb": True,
    },
    "dinov2 whose crop is larger": {
        "image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 13},
        "crop_size": {"height": 20, "width": 17},
    },
    "clip of old": {
        "feature_extractor_type": "CLIPFeatureExtractor", "size": 22, "crop_size": 20, "resample": 3,
        "do_center_crop": True, "do_resize": True, "do_normalize": True,
    },
    "clip, in nearest": {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 21}, "resample": 0},
    "beit": {
        "image_processor_type": "BeitImageProcessor", "size": 20, "crop_size": 20, "do_center_crop": False,
        "resample": 2, "image_mean": HALVES, "image_std": HALVES, "do_reduce_labels": False,
    },
    "swin": {"feature_extractor_type": "ViTFeatureExtractor", "size": 20, "resample": 3, "image_mean": IMAGENET},
    "no rescale": {"image_processor_type": "ViTImageProcessor", "size": 20, "do_rescale": False},
    "no normalise": {"image_processor_type": "ViTImageProcessor", "size": 20, "do_normalize": False},
    "neither": {"image_processor_type": "ViTImageProcessor", "size": 20, "do_rescale": False, "do_normalize": False},
    "another factor": {"image_processor_type": "ViTImageProcessor", "size": 20, "rescale_factor": 1 / 127.5},
}  # fmt: skip
SHAPES = ((31, 47), (47, 31), (20, 20), (15, 9), (7, 60))  # height, width


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    return tmp_path


def _write(folder: Path, config: object) -> Path:
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    return folder


def _noise(height: int, width: int) -> Image.Image:
    rng = np.random.default_rng(height * width)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def _theirs(folder: Path, image: Image.Image) -> NDArray[np.float32]:
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels: NDArray[np.float32] = processor(images=image, return_tensors="np")["pixel_values"][0]
    return pixels


@pytest.mark.parametrize("name", CONFIGS)
def test_it_is_what_transformers_own_processor_makes(name: str, folder: Path) -> None:
    processor = load_processor(_write(folder, CONFIGS[name]))
    for height, width in SHAPES:
        image = _noise(height, width)
        pixels = processor.process(image)
        theirs = _theirs(folder, image)
        assert pixels.dtype == np.float32
        assert pixels.flags.c_contiguous
        np.testing.assert_array_equal(pixels, theirs)
        assert processor.size(height, width) == theirs.shape[1:]


def test_a_processor_inside_a_processor_config_is_found(folder: Path) -> None:
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": CONFIGS["dinov2"]}))
    image = _noise(31, 47)
    np.testing.assert_array_equal(load_processor(folder).process(image), _theirs(folder, image))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"crop_pct": 0.9}, "crop_pct"),
        ({"do_pad": True, "pad_size": {"height": 20, "width": 20}}, "pad"),
        ({"size_divisor": 32}, "size_divisor"),
        ({"size": {"longest_edge": 20}}, "longest_edge"),
        ({"size": {"shortest_edge": 20, "longest_edge": 40}}, "longest_edge"),
        ({"image_mean": [0.5]}, "image_mean has 1 numbers"),
        ({"image_std": [0.5, 0.5, 0.0]}, "image_std is 0"),
        ({"image_processor_type": "ConvNextImageProcessor"}, "ConvNext"),
        ({"image_processor_type": "MobileViTImageProcessor"}, "MobileViT"),
        ({"image_processor_type": "NoSuchImageProcessor"}, "NoSuch|Unrecognized"),
        ({"resample": 17}, "17"),
    ],
)
def test_what_is_not_understood_is_an_error_that_names_it(change: dict[str, Any], named: str, folder: Path) -> None:
    load_processor(_write(folder, CONFIGS["vit"]))
    with pytest.raises(InputError, match=named) as caught:
        load_processor(_write(folder, CONFIGS["vit"] | change))
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "3", "{", "null"])
def test_a_file_that_is_no_configuration_is_an_error(text: str, folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text(text)
    with pytest.raises(InputError, match="no image processor can be read"):
        load_processor(folder)


def test_without_a_file_the_error_names_the_folder(folder: Path) -> None:
    with pytest.raises(InputError, match=str(folder)):
        load_processor(folder)


def test_an_image_that_would_be_blown_up_is_refused(folder: Path) -> None:
    processor = load_processor(_write(folder, CONFIGS["dinov2"]))
    long = Image.new("RGB", (60_000, 1))
    with pytest.raises(TooManyPixels, match="too long for its breadth"):
        processor.process(long)
    assert processor.process(Image.new("RGB", (6_000, 1))).shape == (3, 20, 20)
