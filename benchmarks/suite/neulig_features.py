"""How well texts can be told apart by task, by what a router reads of them: means of embeddings, or of deeper layers.

    python benchmarks/suite/neulig_features.py --data DATA --tasks rt_polarity icd10 tweets_sent

DATA holds `<task>/<split>.jsonl`. A linear network is trained on validation rows of each feature, as the router's is,
and asked about test rows. The features are the base's own.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from deploy.demo.base import base_model
from deploy.demo.rows import read_rows
from merge_builder.evaluation import Row
from merge_builder.progress import silent
from merge_builder.tuning.neulig import Examples, Schedule, routing_loss, train, zeros


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--base", type=Path, help="transformers folder of the base (the demo's base if not given)")
    parser.add_argument("--train-rows", type=int, default=300)
    parser.add_argument("--rows", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(1)
    base = args.base or base_model(silent)
    seen = _features(base, [read_rows(args.data / t / "validation.jsonl")[: args.train_rows] for t in args.tasks])
    test = _features(base, [read_rows(args.data / t / "test.jsonl")[: args.rows] for t in args.tasks])
    for name in seen:
        print(json.dumps({"features": name} | _accuracy(seen[name], test[name], args.tasks)), flush=True)


@torch.inference_mode()
def _features(base: Path, rows: Sequence[Sequence[Row]]) -> dict[str, list[np.ndarray]]:
    """By name, each task's features, (rows, width)."""
    tokenizer, model = AutoTokenizer.from_pretrained(base), AutoModel.from_pretrained(base).eval()
    found: dict[str, list[np.ndarray]] = {}
    for own in rows:
        parts: dict[str, list[np.ndarray]] = {}
        for start in range(0, len(own), 32):
            texts = [(row.text, row.text_pair) for row in own[start : start + 32]]
            together = [text if pair is None else (text, pair) for text, pair in texts]
            inputs = tokenizer(together, padding=True, truncation=True, max_length=128, return_tensors="pt")
            states = model(**inputs, output_hidden_states=True).hidden_states
            layers = {"token embeddings": model.get_input_embeddings()(inputs["input_ids"]), "embeddings": states[0]}
            layers |= {f"layer {number}": state for number, state in enumerate(states[1:], 1)}
            mask = inputs["attention_mask"].unsqueeze(2)
            for name, state in layers.items():
                mean = (state * mask).sum(dim=1) / mask.sum(dim=1)
                parts.setdefault(name, []).append(mean.double().numpy())
        for name, arrays in parts.items():
            found.setdefault(name, []).append(np.concatenate(arrays))
    return found


def _accuracy(
    seen: Sequence[np.ndarray], test: Sequence[np.ndarray], tasks: Sequence[str]
) -> Mapping[str, float | Mapping[str, float]]:
    every = np.concatenate(seen)
    centre, spread = every.mean(axis=0), every.std(axis=0) + 1e-6
    examples = [Examples((own - centre) / spread, np.full(len(own), number)) for number, own in enumerate(seen)]
    cut = len(seen[0]) // 5
    order = np.random.default_rng(0).permutation(len(seen[0]))
    watched, trained = ([own.take(part) for own in examples] for part in (order[:cut], order[cut:]))
    together = Examples(*(np.concatenate([getattr(own, key) for own in trained]) for key in ("features", "labels")))
    schedule = Schedule(400, rate=3e-3, patience=20)
    network = train(zeros(len(tasks), every.shape[1]), [together], routing_loss, schedule, watched)
    right = [(network.betas((own - centre) / spread).argmax(axis=1) == k).mean() for k, own in enumerate(test)]
    return {"mean": float(np.mean(right)), "tasks": {task: float(own) for task, own in zip(tasks, right, strict=True)}}


if __name__ == "__main__":
    main()
