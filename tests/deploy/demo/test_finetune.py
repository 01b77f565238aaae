"""Fine-tuning a pico BERT: it learns, repeats itself, and leaves whole experts or none."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, BertForSequenceClassification

from deploy.demo.finetune import batches, finetune
from deploy.demo.training import Training
from merge_builder.errors import InputError
from merge_builder.evaluation import Row

TRAINING = Training(steps=150, encoder_rate=3e-3, head_rate=1e-2)
LABELS = ["red", "blue"]


def _accuracy(expert: Path, rows: list[Row]) -> float:
    model = BertForSequenceClassification.from_pretrained(expert).eval()
    tokenizer = AutoTokenizer.from_pretrained(expert)
    with torch.inference_mode():
        logits = model(**tokenizer([row.text for row in rows], padding=True, return_tensors="pt")).logits
    right = [model.config.id2label[i] == row.label for i, row in zip(logits.argmax(-1).tolist(), rows, strict=True)]
    return sum(right) / len(right)


def test_it_learns_a_separable_task(pico_base: Path, colour_rows: list[Row], tmp_path: Path) -> None:
    finetune(pico_base, colour_rows[:800], LABELS, tmp_path / "colour", TRAINING)
    assert _accuracy(tmp_path / "colour", colour_rows[800:]) > 0.9


def test_the_folder_is_a_checkpoint_of_the_base_with_a_named_head(
    pico_base: Path, colour_rows: list[Row], tmp_path: Path
) -> None:
    finetune(pico_base, colour_rows, LABELS, tmp_path / "colour", dataclasses.replace(TRAINING, steps=3))
    model, report = BertForSequenceClassification.from_pretrained(tmp_path / "colour", output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert model.config.id2label == {0: "red", 1: "blue"}
    assert model.config.label2id == {"red": 0, "blue": 1}
    assert model.config.hidden_dropout_prob == 0.1
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "colour" / name).read_bytes() == (pico_base / name).read_bytes()
    before = load_file(pico_base / "model.safetensors")
    after = load_file(tmp_path / "colour" / "model.safetensors")
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[f"bert.{name}"])}
    assert moved == {name for name in before if not name.startswith("embeddings.")}
    assert "pooler.dense.weight" in moved


def test_the_embeddings_move_when_asked_to(pico_base: Path, colour_rows: list[Row], tmp_path: Path) -> None:
    training = dataclasses.replace(TRAINING, steps=3, freeze_embeddings=False)
    finetune(pico_base, colour_rows, LABELS, tmp_path / "colour", training)
    name = "embeddings.word_embeddings.weight"
    before = load_file(pico_base / "model.safetensors")[name]
    assert not torch.equal(before, load_file(tmp_path / "colour" / "model.safetensors")[f"bert.{name}"])


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    pico_base: Path, colour_rows: list[Row], tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.rand(1)  # the caller's random state must not matter
        finetune(pico_base, colour_rows, LABELS, tmp_path / name, dataclasses.replace(TRAINING, steps=5, seed=seed))
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_the_callers_random_state_and_threads_stay(pico_base: Path, colour_rows: list[Row], tmp_path: Path) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    more = threads + 1
    finetune(pico_base, colour_rows, LABELS, tmp_path / "a", dataclasses.replace(TRAINING, steps=1), threads=more)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_pairs_are_learned_from_the_second_text(pico_base: Path, colour_rows: list[Row], tmp_path: Path) -> None:
    pairs = [Row(text="grey1 grey2", text_pair=row.text, label=row.label) for row in colour_rows]
    finetune(pico_base, pairs[:800], LABELS, tmp_path / "pairs", TRAINING)
    model = BertForSequenceClassification.from_pretrained(tmp_path / "pairs").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "pairs")
    held_out = pairs[800:]
    inputs = tokenizer([r.text for r in held_out], [r.text_pair for r in held_out], padding=True, return_tensors="pt")
    with torch.inference_mode():
        guesses = model(**inputs).logits.argmax(-1).tolist()
    right = sum(LABELS[guess] == row.label for guess, row in zip(guesses, held_out, strict=True))
    assert right / len(held_out) > 0.9


def test_every_step_is_reported(pico_base: Path, colour_rows: list[Row], tmp_path: Path) -> None:
    told: list[tuple[str, int, int, str]] = []
    training = dataclasses.replace(TRAINING, steps=4)
    finetune(pico_base, colour_rows, LABELS, tmp_path / "a", training, progress=lambda *what: told.append(what))
    assert told == [("fine-tuning a", done, 4, "steps") for done in (1, 2, 3, 4)]


def test_a_save_that_fails_half_way_leaves_nothing(pico_base: Path, colour_rows: list[Row], tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    for path in pico_base.iterdir():
        (base / path.name).write_bytes(path.read_bytes())
    (base / "vocab.txt").mkdir()  # reading it fails after the weights were written
    with pytest.raises(OSError, match=r"vocab\.txt"):
        finetune(base, colour_rows, LABELS, tmp_path / "out" / "colour", dataclasses.replace(TRAINING, steps=1))
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([], ["a"], "no training rows"),
        ([Row(text="x", label="green")], ["red", "blue"], "no label is called 'green'"),
    ],
)
def test_bad_data_is_refused(pico_base: Path, tmp_path: Path, rows: list[Row], labels: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        finetune(pico_base, rows, labels, tmp_path / "x", TRAINING)


def test_an_expert_is_not_overwritten(pico_base: Path, colour_rows: list[Row], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="already exists"):
        finetune(pico_base, colour_rows, LABELS, tmp_path, TRAINING)


def test_batches_are_full_cover_an_epoch_and_hold_rows_of_one_length() -> None:
    lengths = [number % 50 + 1 for number in range(1000)]
    cut = list(batches(lengths, 20, 50, seed=0))
    assert sorted(number for batch in cut for number in batch) == list(range(1000))
    spread = [max(lengths[n] for n in batch) - min(lengths[n] for n in batch) for batch in cut]
    assert sum(spread) / len(spread) < 6  # unsorted batches of 20 spread over about 45
    assert [len(batch) for batch in batches([3, 1, 2], 20, 2, seed=0)] == [3, 3]
