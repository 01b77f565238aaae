"""Several experts in processes of their own."""

import dataclasses
import multiprocessing
from pathlib import Path

import pytest
from transformers import BertForSequenceClassification

from deploy.demo.experts import Job, finetune_all
from deploy.demo.rows import write_rows
from deploy.demo.training import Training
from merge_builder.errors import InputError, MergeLadderError
from merge_builder.evaluation import Row
from merge_builder.progress import silent


@pytest.fixture
def job(pico_base: Path, colour_rows: list[Row], tmp_path: Path) -> Job:
    write_rows(tmp_path / "rows.jsonl", colour_rows)
    return Job(pico_base, tmp_path / "rows.jsonl", tmp_path / "experts" / "colour", Training(steps=4))


def _kill_children(_stage: str, done: int, _total: int, _unit: str) -> None:
    if done:
        for child in multiprocessing.active_children():
            child.kill()


def test_a_killed_run_leaves_nothing_and_the_next_one_makes_what_is_missing(job: Job) -> None:
    with pytest.raises(MergeLadderError, match="fine-tuned colour ended with exit code -9"):
        finetune_all([dataclasses.replace(job, training=Training(steps=5000))], _kill_children)
    assert not job.out.exists()

    done_before = job.out.parent / "done"
    done_before.mkdir(parents=True, exist_ok=True)
    told: list[tuple[int, int, str]] = []
    finetune_all([job, dataclasses.replace(job, out=done_before)], lambda _, *what: told.append(what))
    assert told == [(done, 4, "steps") for done in range(5)]
    assert not list(done_before.iterdir())
    assert BertForSequenceClassification.from_pretrained(job.out).config.label2id == {"blue": 0, "red": 1}
    finetune_all([job], lambda *_: pytest.fail("there is nothing left to do"))


def test_an_error_in_a_process_is_raised_here_as_it_was(job: Job) -> None:
    job.rows.write_text("{}\n")
    with pytest.raises(InputError, match=r"rows\.jsonl:1: text"):
        finetune_all([job], silent)
