"""Scores of questions and of embeddings, from what a runner would give."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from merge_builder.errors import InputError
from merge_builder.evaluation import Row, TaskData, evaluation_document, summarise, write_scores
from merge_builder.evaluation.score import score_of
from merge_builder.ladder import open_ladder

CONTEXT = "Ann of Lonton sang."
QUESTIONS = TaskData(
    tuple(Row(text="who?", text_pair=CONTEXT, answers=answers) for answers in (("Ann", "Ann of Lonton"), ("Lonton",))),
    (),
    "0" * 64,
    kind="question_answering",
)
RNG = np.random.default_rng(0)
ALIKE = TaskData(
    tuple(Row(text="a", text_pair="b", score=float(score)) for score in RNG.integers(0, 6, 200)),
    (),
    "1" * 64,
    kind="embedding",
)


def test_questions_count_exact_answers_and_shared_words() -> None:
    score = score_of(3, "find", QUESTIONS, np.array([(0, 13), (7, 18)], np.float32))  # "Ann of Lonton", "Lonton sang"
    assert (score.metric, score.rows, score.accuracy) == ("exact_match", 2, 0.5)
    assert score.macro_f1 == pytest.approx((1 + 2 / 3) / 2)
    low, high = score.macro_f1_interval
    assert (low, high) == pytest.approx((2 / 3, 1))  # of two rows, a resample may hold either twice


def _vectors(cosines: np.ndarray) -> np.ndarray:
    """Pairs of vectors of unequal lengths at these cosines."""
    first = np.tile([2.0, 0.0], (len(cosines), 1))
    second = 5 * np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)
    return np.stack([first, second], axis=1).astype(np.float32)


def _cosines(noise: float) -> np.ndarray:
    right = np.array([row.score for row in ALIKE.rows])
    return np.clip(right / 6 + noise * RNG.normal(size=200), -0.99, 0.99)


def test_embeddings_are_scored_by_the_order_of_cosines_and_told_by_the_experts(make_ladder) -> None:
    right = [row.score for row in ALIKE.rows]
    expert, rung = _cosines(0.2), _cosines(0.6)
    scores = [score_of(index, "b", ALIKE, _vectors(cosines)) for index, cosines in ((0, expert), (1, rung))]
    told = [spearmanr(cosines, right).statistic for cosines in (expert, rung)]
    assert [(score.metric, score.macro_f1) for score in scores] == [("spearman", None)] * 2
    assert [score.accuracy for score in scores] == pytest.approx(told, abs=1e-3)

    ladder = write_scores(make_ladder(), scores)
    assert open_ladder(ladder.root) == ladder
    small, own = summarise(ladder.manifest)
    assert small.tasks["b"].normalised == pytest.approx(told[1] / told[0], abs=1e-3)
    assert own.tasks["b"].interval == (1, 1)

    picks = RNG.integers(0, 200, (1000, 200))
    resampled = [[spearmanr(c[p], np.array(right)[p]).statistic for p in picks] for c in (rung, expert)]
    expected = np.quantile(np.array(resampled[0]) / resampled[1], [0.025, 0.975])
    assert small.tasks["b"].interval == pytest.approx(expected, abs=0.02)
    assert scores[1].interval == pytest.approx(np.quantile(resampled[0], [0.025, 0.975]), abs=0.02)
    document = evaluation_document(ladder, scores)
    assert "pairs" not in document["scores"][0]
    assert document["summary"][0]["tasks"]["b"]["normalised"] == small.tasks["b"].normalised


def test_an_expert_that_orders_pairs_no_better_than_chance_is_named(make_ladder) -> None:
    score = score_of(0, "b", ALIKE, _vectors(-_cosines(0.1)))
    assert score.accuracy < 0
    with pytest.raises(InputError, match="expert of task 'b' has a rank correlation of -0"):
        summarise(make_ladder().manifest, [score])
