"""Write the images of npz files as PNG files with rows for `mergeladder evaluate`.

    python benchmarks/suite/images.py --data DATA --out IMAGES --split test --rows 200
    mergeladder evaluate LADDER --data IMAGES/test.yaml

`DATA/<task>.npz` is what vision_experts.py trains on. `IMAGES/<task>.test.jsonl` gets rows `{"image": path, "label"}`.
"""

import argparse
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of <task>.npz")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", help="all tasks of --data if not given")
    parser.add_argument("--split", default="validation", help="validation chooses, test reports")
    parser.add_argument("--rows", type=int, default=250, help="of each task, the first ones")
    args = parser.parse_args()
    tasks = args.tasks or sorted(path.stem for path in args.data.glob("*.npz"))
    files = {task: write_images(args.data / f"{task}.npz", args.out, args.split, args.rows) for task in tasks}
    (args.out / f"{args.split}.yaml").write_text(yaml.safe_dump({"tasks": files}))


def write_images(source: Path, out: Path, split: str, rows: int | None) -> str:
    """The name, in `out`, of the file of the first `rows` (all, if not given) of a split's rows."""
    folder = Path(source.stem) / split
    (out / folder).mkdir(parents=True, exist_ok=True)
    with np.load(source) as arrays:
        names, images, labels = arrays["label_names"], arrays[f"{split}_images"][:rows], arrays[f"{split}_labels"]
    lines = []
    for number, (image, label) in enumerate(zip(images, labels, strict=False)):
        path = folder / f"{number:04}.png"
        (out / path).write_bytes(png(image))
        lines.append(json.dumps({"image": str(path), "label": str(names[label])}) + "\n")
    name = f"{source.stem}.{split}.jsonl"
    (out / name).write_text("".join(lines), encoding="utf-8")
    return name


def png(image: NDArray[np.uint8]) -> bytes:
    """The PNG file of a grey `[h, w]` or RGB `[h, w, 3]` image."""
    height, width = image.shape[:2]
    colour = 0 if image.ndim == 2 else 2
    lines = b"".join(b"\0" + row.tobytes() for row in image)  # filter type 0: as they are
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


if __name__ == "__main__":
    main()
