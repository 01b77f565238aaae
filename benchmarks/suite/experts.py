"""Fine-tune a suite of text experts from folders of rows; a task that is done already is skipped.

    python benchmarks/suite/experts.py --data DATA --out EXPERTS --tasks rt_polarity icd10

`DATA/<task>/train.jsonl` and `test.jsonl` hold the rows; `EXPERTS/<task>` becomes the expert, and
`EXPERTS/results.jsonl` gains a line with its accuracy on the test rows and the time it took.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from deploy.demo.base import base_model
from deploy.demo.finetune import finetune
from deploy.demo.rows import read_rows
from deploy.demo.training import Training
from merge_builder.evaluation import Row

MAX_LENGTH = 64


def main() -> None:
    args = _arguments()
    tasks = args.tasks or sorted(path.parent.name for path in args.data.glob("*/train.jsonl"))
    base = args.base or base_model(_print_tenths)
    torch.set_num_threads(args.threads)
    for task in tasks:
        if not (args.out / task).exists():
            _make(args, base, task)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of <task>/{train,test}.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets one expert a task")
    parser.add_argument("--base", type=Path, help="transformers folder of the base (the demo's base if not given)")
    parser.add_argument("--tasks", nargs="+", help="all tasks of --data if not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=300, help="of 32 rows each")
    parser.add_argument("--encoder-rate", type=float, default=2e-4, help="peak learning rate; less suits two classes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--move-embeddings", action="store_true", help="train the embeddings too")
    return parser.parse_args()


def _make(args: argparse.Namespace, base: Path, task: str) -> None:
    rows = read_rows(args.data / task / "train.jsonl")
    labels = sorted({row.label for row in rows})
    start, cpu = time.monotonic(), time.process_time()
    training = Training(
        args.steps,
        max_length=MAX_LENGTH,
        encoder_rate=args.encoder_rate,
        head_rate=5e-3,
        freeze_embeddings=not args.move_embeddings,
        seed=args.seed,
    )
    finetune(base, rows, labels, args.out / task, training, threads=args.threads, progress=_print_tenths)
    result = {
        "task": task,
        "classes": len(labels),
        **asdict(training),
        "wall_s": round(time.monotonic() - start, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "accuracy": round(accuracy(args.out / task, read_rows(args.data / task / "test.jsonl")), 4),
    }
    with (args.out / "results.jsonl").open("a", encoding="utf-8") as out:
        out.write(json.dumps(result) + "\n")
    print(json.dumps(result), flush=True)


@torch.inference_mode()
def accuracy(expert: Path, rows: list[Row]) -> float:
    """The share of `rows` that transformers' own model in the folder `expert` labels right."""
    model = AutoModelForSequenceClassification.from_pretrained(expert).eval()
    tokenizer = AutoTokenizer.from_pretrained(expert)
    ordered = sorted(rows, key=lambda row: len(row.text) + len(row.text_pair or ""))
    right = 0
    for at in range(0, len(ordered), 32):
        batch = ordered[at : at + 32]
        pairs = None if batch[0].text_pair is None else [row.text_pair for row in batch]
        texts = [row.text for row in batch]
        inputs = tokenizer(texts, pairs, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
        guesses = model(**inputs).logits.argmax(-1).tolist()
        right += sum(model.config.id2label[guess] == row.label for guess, row in zip(guesses, batch, strict=True))
    return right / len(rows)


def _print_tenths(stage: str, done: int, total: int, unit: str) -> None:
    if done * 10 // total > (done - 1) * 10 // total:
        print(f"{stage}: {done} of {total} {unit}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
