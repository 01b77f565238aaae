"""Pico checkpoints on disk for tests of the whole product, made by transformers itself.

It is imported by every process of a run, so what loads torch is imported where it is needed.
"""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from merge_builder.ladder import Ladder

# A busy machine makes any example slow now and then; that is no fault of what is tested.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

LABELS = {"mood": ("bad", "good"), "topic": ("art", "law", "sea"), "intent": ("ask", "buy", "call", "drop")}
LONGEST = 48  # tokens


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The million objects of torch and transformers stay: to look through them for garbage was a tenth of a run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """Half of a build of pico models is fsync, which guards against a loss of power: no test can see it.

    Processes that tests start do call it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of three tasks over one random BERT (2 layers of 32), with its checkpoints beside it."""
    from transformers import BertConfig, BertModel

    from .checkpoints import classifier, seeded, tokenizer, write_suite

    config = BertConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=LONGEST,
    )
    with seeded(0):
        base = BertModel(config)
        experts = {task: classifier(base, labels) for task, labels in LABELS.items()}
    words = dict.fromkeys(["base", *LABELS], tokenizer(LONGEST))
    return write_suite(
        tmp_path_factory.mktemp("checkpoints"), base, experts, words, method="{name: task_arithmetic, scale: 0.4}"
    )


@pytest.fixture(scope="session")
def mixed_ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """One task of each kind: `mood`, `names`, `find` and `sense`, as tests/kinds.py tells."""
    from .kinds import build_mixed

    return build_mixed(tmp_path_factory.mktemp("mixed"))
