"""Fine-tune a token classifier on rows of labelled words, such as `brown_tags.py` makes; done already, it is left.

    python benchmarks/suite/token_expert.py --data DATA/brown_pos --out EXPERTS/brown_pos

A word is learnt by its first token. `EXPERTS/brown_pos` becomes the expert; its accuracy on the words of `test.jsonl`,
computed by transformers alone, and the time it took are printed as a line of JSON.
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from deploy.demo.base import base_model
from deploy.demo.cache import whole_folder
from deploy.demo.finetune import TOKENIZER_FILES, WARM_UP, batches
from merge_builder.progress import silent

MAX_LENGTH, BATCH_SIZE, HEAD_RATE = 64, 32, 5e-3
Example = dict[str, list[int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of {train,test}.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="becomes the expert")
    parser.add_argument("--base", type=Path, help="transformers folder of a BERT base (the demo's if not given)")
    parser.add_argument("--steps", type=int, default=200, help="of 32 rows each")
    parser.add_argument("--rate", type=float, default=1e-4, help="peak learning rate of the encoder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if not args.out.exists():
        _make(args, args.base or base_model(silent))


def _make(args: argparse.Namespace, base: Path) -> None:
    start, cpu = time.monotonic(), time.process_time()
    rows = _read(args.data / "train.jsonl")
    labels = sorted({label for row in rows for label in row["labels"]})
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    torch.manual_seed(args.seed)
    transformers.logging.set_verbosity_error()  # that the head is new is no news
    model = transformers.BertForTokenClassification.from_pretrained(
        base,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        dtype=torch.float32,
    ).eval()
    model.bert.embeddings.requires_grad_(False)
    _train(model, [encode(tokenizer, row, model.config.label2id) for row in rows], args)
    test = [encode(tokenizer, row, model.config.label2id) for row in _read(args.data / "test.jsonl")]
    with whole_folder(args.out) as folder:
        model.save_pretrained(folder)
        for name in TOKENIZER_FILES:
            if (base / name).exists():
                shutil.copyfile(base / name, folder / name)
    result = {
        "task": args.out.name,
        "classes": len(labels),
        "steps": args.steps,
        "rate": args.rate,
        "seed": args.seed,
        "wall_s": round(time.monotonic() - start, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "word_accuracy": round(_accuracy(model, test), 4),
    }
    print(json.dumps(result), flush=True)


def _read(path: Path) -> list[dict[str, list[str]]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def encode(tokenizer: Any, row: dict[str, list[str]], ids: dict[str, int]) -> Example:
    """A row as token ids and, for each token, its word's label, or -100 where it is not the first of a word."""
    encoded = tokenizer(row["words"], is_split_into_words=True, truncation=True, max_length=MAX_LENGTH)
    words = encoded.word_ids()
    first = [word is not None and word != before for word, before in zip(words, [None, *words], strict=False)]
    labels = [ids[row["labels"][word]] if new else -100 for word, new in zip(words, first, strict=True)]
    return {"input_ids": encoded["input_ids"], "labels": labels}


def _train(model: Any, examples: Sequence[Example], args: argparse.Namespace) -> None:
    head = list(model.classifier.parameters())
    body = [weight for weight in model.bert.parameters() if weight.requires_grad]
    groups = [{"params": body, "lr": args.rate}, {"params": head, "lr": HEAD_RATE}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    rates = transformers.get_linear_schedule_with_warmup(optimizer, round(WARM_UP * args.steps), args.steps)
    lengths = [len(example["input_ids"]) for example in examples]
    for done, numbers in enumerate(batches(lengths, BATCH_SIZE, args.steps, args.seed), start=1):
        loss = model(**_collate([examples[number] for number in numbers])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*body, *head], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        rates.step()
        if done % 20 == 0:
            print(f"{done} of {args.steps} steps, loss {loss.item():.3f}", flush=True)


def _collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    width = max(len(example["input_ids"]) for example in examples)

    def padded(key: str, fill: int) -> torch.Tensor:
        return torch.tensor([example[key] + [fill] * (width - len(example[key])) for example in examples])

    ids = padded("input_ids", 0)
    return {"input_ids": ids, "attention_mask": (ids != 0).long(), "labels": padded("labels", -100)}


@torch.inference_mode()
def _accuracy(model: Any, examples: Sequence[Example]) -> float:
    """The share of the words that were read which are labelled right."""
    right = asked = 0
    for at in range(0, len(examples), BATCH_SIZE):
        batch = _collate(examples[at : at + BATCH_SIZE])
        labels = batch.pop("labels")
        guesses = model(**batch).logits.argmax(-1)
        known = labels != -100
        right, asked = right + int((guesses == labels)[known].sum()), asked + int(known.sum())
    return right / asked


if __name__ == "__main__":
    main()
