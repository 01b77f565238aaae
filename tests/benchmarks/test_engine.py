"""The first rows of the engine's benchmark on a small random model, so that a regression by a factor of two is seen.

Ratios of the least CPU time of contenders that take turns; on two busy cores they were 3.3, 0.88 and 7.6 in every run.
"""

import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from merge_builder.build import build
from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at, select
from merge_builder.recipe import load_recipe
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Encoded

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "engine"))
from interleaved import interleaved
from suite import padded

TASKS = tuple("abcdefgh")
SHAPE = {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 6, "intermediate_size": 768}
ROUNDS = 4


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    config = BertConfig(vocab_size=200, max_position_embeddings=64, **SHAPE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        base = BertModel(config)
        base.save_pretrained(folder / "base")
        words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
        PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(folder / "base")
        for task in TASKS:
            expert = BertForSequenceClassification(config)
            expert.bert.load_state_dict(
                {name: w + 1e-2 * torch.randn(w.shape) for name, w in base.state_dict().items()}
            )
            expert.save_pretrained(folder / task)
    listed = ", ".join(f"{task}: {{model: {task}}}" for task in TASKS)
    recipe = folder / "recipe.yaml"
    recipe.write_text(f"base: base\nmethod: {{name: task_arithmetic}}\ntasks: {{{listed}}}")
    return build(load_recipe(recipe), folder / "ladder", threads=1)


@pytest.fixture(scope="module")
def texts() -> list[Encoded]:
    """64 texts of log-normal length; their tokens fill a third of the area of a padded batch."""
    chance = random.Random(0)
    lengths = [min(64, max(4, round(chance.lognormvariate(2.9, 0.6)))) for _ in range(64)]
    return [Encoded(tuple(range(n)), (0,) * n, (TASKS[place % 8],)) for place, n in enumerate(lengths)]


def _engine(ladder: Ladder, size: str) -> Engine:
    return load_engine(ladder, rung_at(ladder.manifest, select(ladder.manifest, size).index))


def _times_as_fast(slow: Callable[[list[Encoded]], object], fast: Callable[[list[Encoded]], object], batch) -> float:
    seconds: Mapping[str, list[float]] = interleaved({"slow": slow, "fast": fast}, [batch], ROUNDS)
    return min(seconds["slow"]) / min(seconds["fast"])


def test_packed_batches_beat_padded_ones(ladder: Ladder, texts: list[Encoded], tmp_path: Path) -> None:
    last, batch = ladder.manifest.rungs[-1], [replace(text, tasks=("a",)) for text in texts]
    export(ladder, "a", last, tmp_path / "model")
    model = BertForSequenceClassification.from_pretrained(tmp_path / "model").eval()

    assert _times_as_fast(lambda b: padded(model, b), _engine(ladder, "1").run, batch) > 2


def test_mixed_tasks_at_twice_the_size_cost_little_more_than_one(ladder: Ladder, texts: list[Encoded]) -> None:
    one, two = _engine(ladder, "1"), _engine(ladder, "2")

    assert _times_as_fast(lambda b: one.run([replace(t, tasks=("a",)) for t in b]), two.run, texts) > 0.55


def test_many_tasks_of_one_text_cost_little_more_than_one(ladder: Ladder, texts: list[Encoded]) -> None:
    engine = _engine(ladder, "1")

    def one_by_one(batch: list[Encoded]) -> None:
        for text in batch:
            for task in TASKS:
                engine.run([replace(text, tasks=(task,))])

    def at_once(batch: list[Encoded]) -> None:
        for text in batch:
            engine.run([replace(text, tasks=TASKS)])

    assert _times_as_fast(one_by_one, at_once, texts[:6]) > 5
