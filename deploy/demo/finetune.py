"""Fine-tune a BERT base on one task: a plain training loop that ends in a folder `from_pretrained` loads.

finetune(base, read_rows(Path("train.jsonl")), ["neg", "pos"], Path("experts/reviews"), Training(100))
"""

import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from deploy.demo.cache import whole_folder
from deploy.demo.training import Training
from merge_builder.errors import InputError
from merge_builder.evaluation import Row
from merge_builder.progress import Progress, silent

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
WARM_UP = 0.1  # of the steps
POOL = 16  # batches that are cut from one length-sorted pool


def finetune(
    base_dir: Path,
    rows: Sequence[Row],
    labels: Sequence[str],
    out: Path,
    training: Training,
    *,
    threads: int = 1,
    progress: Progress = silent,
) -> None:
    """Fine-tune `BertForSequenceClassification` from `base_dir` on `rows` and save it as the folder `out`.

    The same arguments on the same machine give the same weights. `out` appears whole or not at all.

    Args:
        labels: the label names in the order of the logits.
        training: the learning rates rise over the first tenth of the steps, then fall to 0.
        threads: of torch; the caller's setting is put back at the end.

    Raises:
        InputError: `out` exists, there are no rows, or a row's label is not one of `labels`.
    """
    _check(rows, labels, out)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            model = _new_model(base_dir, labels, training)
            examples = _encode(base_dir, rows, labels, training)
            _train(model, examples, training, progress, f"fine-tuning {out.name}")
    finally:
        torch.set_num_threads(before)
    _save(model, base_dir, out)


def _check(rows: Sequence[Row], labels: Sequence[str], out: Path) -> None:
    if out.exists():
        raise InputError(f"{out} already exists; remove it to fine-tune again")
    if not rows:
        raise InputError(f"cannot fine-tune {out.name}: there are no training rows; check its data")
    unknown = {row.label for row in rows} - set(labels)
    if unknown:
        raise InputError(f"cannot fine-tune {out.name}: no label is called {min(unknown)!r}; it has {list(labels)}")


def _new_model(base_dir: Path, labels: Sequence[str], training: Training) -> Any:
    transformers.logging.set_verbosity_error()  # that the head is new is no news
    transformers.logging.disable_progress_bar()
    names = dict(enumerate(labels))
    config = transformers.AutoConfig.from_pretrained(
        base_dir, num_labels=len(names), id2label=names, label2id={name: index for index, name in names.items()}
    )
    model = transformers.BertForSequenceClassification.from_pretrained(base_dir, config=config, dtype=torch.float32)
    model.bert.embeddings.requires_grad_(not training.freeze_embeddings)
    return model.eval()  # no dropout: runs this short learn faster without it, and it costs a fifth of the time


def _encode(base_dir: Path, rows: Sequence[Row], labels: Sequence[str], training: Training) -> list[dict[str, Any]]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(base_dir)
    index = {label: number for number, label in enumerate(labels)}
    return [
        {
            **tokenizer(row.text, row.text_pair, truncation=True, max_length=training.max_length),
            "label": index[row.label],
        }
        for row in rows
    ]


def batches(lengths: Sequence[int], batch_size: int, steps: int, seed: int) -> Iterator[list[int]]:
    """`steps` batches of row numbers: shuffled epochs, rows of about one length together to keep padding small."""
    rng = random.Random(seed)
    size = min(batch_size, len(lengths))
    ready: list[list[int]] = []
    for _ in range(steps):
        if not ready:
            ready = _epoch(lengths, size, rng)
        yield ready.pop()


def _epoch(lengths: Sequence[int], size: int, rng: random.Random) -> list[list[int]]:
    order = rng.sample(range(len(lengths)), len(lengths))
    pools = [sorted(order[at : at + POOL * size], key=lengths.__getitem__) for at in range(0, len(order), POOL * size)]
    cut = [pool[at : at + size] for pool in pools for at in range(0, len(pool) - size + 1, size)]
    rng.shuffle(cut)
    return cut


def _train(model: Any, examples: Sequence[dict[str, Any]], training: Training, progress: Progress, stage: str) -> None:
    body = [weight for weight in model.bert.parameters() if weight.requires_grad]
    head = list(model.classifier.parameters())
    groups = [{"params": body, "lr": training.encoder_rate}, {"params": head, "lr": training.head_rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    rates = transformers.get_linear_schedule_with_warmup(optimizer, round(WARM_UP * training.steps), training.steps)
    lengths = [len(example["input_ids"]) for example in examples]
    order = batches(lengths, training.batch_size, training.steps, training.seed)
    for done, numbers in enumerate(order, start=1):
        model(**_collate([examples[number] for number in numbers], model.config.pad_token_id)).loss.backward()
        torch.nn.utils.clip_grad_norm_([*body, *head], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        rates.step()
        progress(stage, done, training.steps, "steps")


def _collate(examples: Sequence[dict[str, Any]], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(example["input_ids"]) for example in examples)
    padded = {
        key: torch.tensor([example[key] + [fill] * (width - len(example[key])) for example in examples])
        for key in examples[0].keys() - {"label"}
        for fill in [pad if key == "input_ids" else 0]
    }
    return {**padded, "labels": torch.tensor([example["label"] for example in examples])}


def _save(model: Any, base_dir: Path, out: Path) -> None:
    with whole_folder(out) as folder:
        model.save_pretrained(folder)
        for name in TOKENIZER_FILES:
            if (base_dir / name).exists():
                shutil.copyfile(base_dir / name, folder / name)
