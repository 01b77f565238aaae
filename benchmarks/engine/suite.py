"""What the engine's benchmarks work on: ladders over a folder of experts, and real texts in the order they arrive."""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import BertForSequenceClassification

from deploy.demo.base import base_model
from merge_builder.build import build
from merge_builder.export import export
from merge_builder.ladder import Ladder, RungSize
from merge_builder.progress import silent
from merge_builder.recipe import load_recipe
from serving.engine.tokenize import Tokenizer
from serving.engine.types import Encoded


def arguments(description: str) -> argparse.ArgumentParser:
    """What every script of this folder asks for."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--experts", type=Path, required=True, help="folder of <task>/, transformers checkpoints")
    parser.add_argument("--data", type=Path, required=True, help="folder of <task>/test.jsonl")
    parser.add_argument("--work", type=Path, required=True, help="folder for the ladders; what is there is used again")
    parser.add_argument("--base", type=Path, help="transformers folder of the base (the demo's base if not given)")
    parser.add_argument("--max-length", type=int, default=64, help="tokens that texts are cut at")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    return parser


def tasks_of(args: argparse.Namespace) -> list[str]:
    """The tasks that have an expert."""
    return sorted(path.parent.name for path in args.experts.glob("*/config.json"))


def ladder_of(args: argparse.Namespace, name: str = "size", **recipe: Any) -> Ladder:
    """The ladder of the experts by the product's own recipe, changed by the keys given, in the folder `name`."""
    base = args.base or base_model(silent)
    experts = {task: {"model": str((args.experts / task).resolve())} for task in tasks_of(args)}
    args.work.mkdir(parents=True, exist_ok=True)
    path = args.work / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"base": str(base.resolve()), "tasks": experts} | recipe))
    return build(load_recipe(path), args.work / name)


def exported(args: argparse.Namespace, ladder: Ladder, task: str, size: RungSize) -> BertForSequenceClassification:
    """Transformers' own model of one task at one rung."""
    folder = args.work / f"{ladder.root.name}-{task}-{size.index}"
    if not folder.exists():
        export(ladder, task, size, folder)
    model: BertForSequenceClassification = BertForSequenceClassification.from_pretrained(folder).eval()
    return model


def arrivals(args: argparse.Namespace, tokenizer: Tokenizer) -> list[Encoded]:
    """`--texts` test rows of all tasks, drawn at random, each asked for the task that it comes from."""
    rows = [
        (task, json.loads(line))
        for task in tasks_of(args)
        for line in (args.data / task / "test.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    chosen = random.Random(0).sample(rows, args.texts)
    texts, pairs = [row["text"] for _, row in chosen], [row.get("text_pair") for _, row in chosen]
    tokens = tokenizer.encode(texts, pairs, max_length=args.max_length, truncate=True)
    return [Encoded(t.input_ids, t.token_type_ids, (task,)) for t, (task, _) in zip(tokens, chosen, strict=True)]


def batches(items: Sequence[Encoded], size: int) -> list[list[Encoded]]:
    """The items in order, `size` at a time."""
    return [list(items[at : at + size]) for at in range(0, len(items), size)]


@torch.inference_mode()
def padded(model: BertForSequenceClassification, batch: Sequence[Encoded]) -> torch.Tensor:
    """Transformers' forward of a batch, padded to its longest text; logits (texts, labels)."""
    longest = max(len(item.input_ids) for item in batch)
    ids, types, mask = torch.zeros(3, len(batch), longest, dtype=torch.int64)
    for row, item in enumerate(batch):
        count = len(item.input_ids)
        ids[row, :count] = torch.tensor(item.input_ids)
        types[row, :count] = torch.tensor(item.token_type_ids)
        mask[row, :count] = 1
    logits: torch.Tensor = model(input_ids=ids, token_type_ids=types, attention_mask=mask).logits
    return logits
