"""Fine-tune a suite of image experts from npz files of small images; a task that is done already is skipped.

    python benchmarks/suite/vision_experts.py --base BASE --data DATA --out EXPERTS --tasks fashion mnist5k

`DATA/<task>.npz` holds `{train,test}_images` (uint8, N x H x W or N x H x W x 3), `{train,test}_labels` and
`label_names`; `EXPERTS/<task>` becomes the expert with an image processor of the trained size, and
`EXPERTS/results.jsonl` gains a line with its accuracy on the test images and the time it took.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, interpolate

from deploy.demo.cache import whole_folder

WARM_UP = 0.1  # of the steps


@dataclass(frozen=True)
class Training:
    """Optimiser steps of `batch_size` images, brought to `side` pixels a side; AdamW's peak learning rates."""

    steps: int
    rate: float
    seed: int
    side: int
    batch_size: int = 32
    head_rate: float = 1e-3  # of the classifier, which starts at random


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()  # that the head is new is no news
    transformers.logging.disable_progress_bar()
    for task in args.tasks or sorted(path.stem for path in args.data.glob("*.npz")):
        if not (args.out / task).exists():
            training = Training(args.steps, args.rate, args.seed, args.side)
            _make(args.base, args.data / f"{task}.npz", args.out / task, training)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="transformers folder of a ViT-like base")
    parser.add_argument("--data", type=Path, required=True, help="folder of <task>.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets one expert a task")
    parser.add_argument("--tasks", nargs="+", help="all tasks of --data if not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=150, help="of 32 images each")
    parser.add_argument("--rate", type=float, default=5e-5, help="peak learning rate of all but the classifier")
    parser.add_argument("--side", type=int, default=98, help="pixels a side, a multiple of the base's patch")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _make(base: Path, data: Path, out: Path, training: Training) -> None:
    start, cpu = time.monotonic(), time.process_time()
    processor = json.loads((base / "preprocessor_config.json").read_text())
    arrays = dict(np.load(data))
    labels = dict(enumerate(map(str, arrays["label_names"])))
    torch.manual_seed(training.seed)
    model = transformers.AutoModelForImageClassification.from_pretrained(
        base, num_labels=len(labels), id2label=labels, label2id={v: k for k, v in labels.items()}, dtype=torch.float32
    ).eval()
    _train(model, arrays["train_images"], torch.from_numpy(arrays["train_labels"]), processor, training, data.stem)
    with whole_folder(out) as folder:
        model.save_pretrained(folder)
        side = {"height": training.side, "width": training.side}
        sized = processor | {"size": {"shortest_edge": training.side}, "crop_size": side}
        (folder / "preprocessor_config.json").write_text(json.dumps(sized, indent=2) + "\n")
    result = {
        "task": data.stem,
        "classes": len(labels),
        **asdict(training),
        "wall_s": round(time.monotonic() - start, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "accuracy": round(_accuracy(model, arrays["test_images"], arrays["test_labels"], processor, training.side), 4),
    }
    with (out.parent / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")
    print(json.dumps(result), flush=True)


def _train(
    model: Any, images: NDArray[np.uint8], labels: torch.Tensor, processor: Any, training: Training, task: str
) -> None:
    head = list(model.classifier.parameters())
    body = [weight for name, weight in model.named_parameters() if not name.startswith("classifier.")]
    groups = [{"params": body, "lr": training.rate}, {"params": head, "lr": training.head_rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    warm_up = round(WARM_UP * training.steps)
    rates = transformers.get_linear_schedule_with_warmup(optimizer, warm_up, training.steps)
    rng = np.random.default_rng(training.seed)
    epochs = -(-training.steps * training.batch_size // len(images))
    order = np.concatenate([rng.permutation(len(images)) for _ in range(epochs)])
    for step in range(training.steps):
        rows = order[step * training.batch_size : (step + 1) * training.batch_size]
        logits = model(pixel_values=pixels(images[rows], processor, training.side)).logits
        loss: Any = cross_entropy(logits, labels[rows])
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*body, *head], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        rates.step()
        if (step + 1) % 15 == 0:
            print(f"{task}: {step + 1} of {training.steps} steps, loss {loss.item():.3f}", flush=True)


def pixels(images: NDArray[np.uint8], processor: dict[str, Any], side: int) -> torch.Tensor:
    """What an image processor makes of square `images`: fp32 `[n, 3, side, side]`, bicubic, normalised."""
    rgb = images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=-1)
    large = interpolate(
        torch.from_numpy(rgb).permute(0, 3, 1, 2).float(), size=(side, side), mode="bicubic", antialias=True
    )
    mean, std = (torch.tensor(processor[key])[:, None, None] for key in ("image_mean", "image_std"))
    pixels: torch.Tensor = (large.round().clamp(0, 255) * processor["rescale_factor"] - mean) / std
    return pixels


@torch.inference_mode()
def _accuracy(
    model: Any, images: NDArray[np.uint8], labels: NDArray[np.int64], processor: dict[str, Any], side: int
) -> float:
    guesses = [
        model(pixel_values=pixels(images[at : at + 32], processor, side)).logits.argmax(-1).numpy()
        for at in range(0, len(images), 32)
    ]
    return float((np.concatenate(guesses) == labels).mean())


if __name__ == "__main__":
    main()
