"""Image files to a model's input: this project's decoding and preprocessing against transformers' own processor.

python benchmarks/server/image_files.py --base FOLDER

FOLDER has a preprocessor_config.json. JPEG files of soft random colours are made here. One thread, CPU time, contenders
in turns, medians of the rounds; both give the same numbers, which is checked first.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor

from serving.images.decode import open_image, to_rgb
from serving.images.preprocess import load_processor

SIZES = ((224, 224, 100), (640, 480, 30), (4000, 3000, 2))  # width, height, images a round


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    ours, theirs = load_processor(args.base), AutoImageProcessor.from_pretrained(args.base, backend="pil")

    def transformers_own(file: bytes) -> object:
        return theirs(images=Image.open(io.BytesIO(file)), return_tensors="np")["pixel_values"][0]

    contenders: dict[str, Callable[[bytes], object]] = {
        "decode": lambda file: to_rgb(open_image(file)),
        "decode and preprocess": lambda file: ours.process(to_rgb(open_image(file))),
        "transformers": transformers_own,
    }
    for width, height, count in SIZES:
        file = _photo(width, height)
        np.testing.assert_array_equal(*(contenders[name](file) for name in list(contenders)[1:]))
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(args.rounds):
            for name, contender in contenders.items():
                seconds[name].append(_measure(contender, file, count))
        ratio = statistics.median(_ratios(seconds["transformers"], seconds["decode and preprocess"]))
        told = ", ".join(f"{name} {1 / statistics.median(own):.0f}" for name, own in seconds.items())
        print(f"{width} x {height}, {len(file) // 1024} KiB: images a CPU-second: {told}; ratio {ratio:.2f}")


def _photo(width: int, height: int) -> bytes:
    cells = np.random.default_rng(0).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def _measure(contender: Callable[[bytes], object], file: bytes, count: int) -> float:
    started = time.process_time()
    for _ in range(count):
        contender(file)
    return (time.process_time() - started) / count


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(above, below, strict=True)]


if __name__ == "__main__":
    main()
