"""Questions and pairs of sentences through the engine against transformers' own models on the same weights."""

import json
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForQuestionAnswering, AutoTokenizer

from deploy.runner import engine_runner
from merge_builder.errors import InputError
from merge_builder.evaluation import TaskData, load_data
from merge_builder.export import export
from merge_builder.ladder import Ladder, open_ladder

CONTEXTS = ("Ann, ringing of Lonton", "the ann of the lon", "of " * 60 + "Lonton")
PAIRS = [("ann", "ann"), ("ann of lonton", "the ringing"), ("lonton", "lonton of ann"), ("x. " * 40, "the x")]


def _read(ladder: Ladder, folder: Path, task: str, rows: list[dict]) -> dict[str, TaskData]:
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "data.yaml").write_text(f"tasks: {{{task}: rows.jsonl}}")
    return load_data(folder / "data.yaml", ladder)


def test_answers_are_the_best_spans_of_transformers(mixed_ladder: Ladder, tmp_path: Path) -> None:
    rows = [{"question": "the ann", "context": context, "answers": ["lonton"]} for context in CONTEXTS]
    data = _read(mixed_ladder, tmp_path, "find", rows)
    rung = mixed_ladder.manifest.rungs[-1]
    spans = engine_runner(mixed_ladder)(rung, "find", data["find"].rows)

    export(mixed_ladder, "find", rung, tmp_path / "find")
    model = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "find").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "find")
    for context, (start, end) in list(zip(CONTEXTS, spans, strict=True))[:2]:  # of one window
        ids = tokenizer("the ann", context, return_tensors="pt")
        with torch.inference_mode():
            output = model(**ids)
        inside = [n for n, sequence in enumerate(ids.sequence_ids(0)) if sequence == 1]
        scored = [
            (float(output.start_logits[0, i] + output.end_logits[0, j]), i, j)
            for i in inside
            for j in inside
            if i <= j < i + 15
        ]
        _, first, last = max(scored)
        words = [ids.token_to_word(0, token) for token in (first, last)]
        assert (start, end) == (
            ids.word_to_chars(0, words[0], 1).start,
            ids.word_to_chars(0, words[1], 1).end,
        )
    assert 0 <= spans[2, 0] < spans[2, 1] <= len(CONTEXTS[2])


def test_vectors_of_both_texts_are_those_of_transformers(mixed_ladder: Ladder, tmp_path: Path) -> None:
    rows = [{"text": a, "text_pair": b, "score": number} for number, (a, b) in enumerate(PAIRS)]
    data = _read(mixed_ladder, tmp_path, "sense", rows)
    rung = mixed_ladder.manifest.rungs[len(mixed_ladder.manifest.rungs) // 2]
    vectors = engine_runner(mixed_ladder)(rung, "sense", data["sense"].rows)

    export(mixed_ladder, "sense", rung, tmp_path / "sense")
    model = AutoModel.from_pretrained(tmp_path / "sense").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "sense")
    for pair, found in zip(PAIRS, vectors, strict=True):
        for text, vector in zip(pair, found, strict=True):
            with torch.inference_mode():
                mean = model(**tokenizer(text, truncation=True, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
            np.testing.assert_allclose(vector, torch.nn.functional.normalize(mean, dim=0), atol=1e-5)


def test_all_kinds_are_evaluated_together_by_the_command(mixed_ladder: Ladder, mergeladder, tmp_path: Path) -> None:
    own = open_ladder(copytree(mixed_ladder.root, tmp_path / "ladder"))
    runner, first = engine_runner(own), own.manifest.rungs[0]
    alike = _read(own, tmp_path, "sense", [{"text": a, "text_pair": b, "score": 0.5 * (a < b)} for a, b in PAIRS])
    vectors = runner(first, "sense", alike["sense"].rows)
    order = np.einsum("nd,nd->n", vectors[:, 0], vectors[:, 1])
    context = CONTEXTS[0]
    asked = _read(own, tmp_path, "find", [{"question": "of", "context": context, "answers": ["x"]}])
    start, end = runner(first, "find", asked["find"].rows)[0].astype(int)
    files = {
        "find": [
            {"question": "of", "context": context, "answers": [answer]}
            for answer in (f"The {context[start:end]}!", "x")
        ],
        "sense": [
            {"text": a, "text_pair": b, "score": round(float(cosine), 4)}
            for (a, b), cosine in zip(PAIRS, order, strict=True)
        ],
        "names": [{"words": ["ann", "of"], "labels": ["O", "O"]}, {"words": ["lonton"], "labels": ["B-LOC"]}],
        "mood": [{"text": "ann", "label": label} for label in ("LABEL_0", "LABEL_1")],
    }
    for task, rows in files.items():
        (tmp_path / f"{task}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "data.yaml").write_text("tasks:\n" + "".join(f"  {task}: {task}.jsonl\n" for task in files))

    told = mergeladder("evaluate", own.root, "--data", tmp_path / "data.yaml", "--rungs", "#0,1", "--json", "-")
    scores = {s["task"]: s for s in told.document["scores"] if s["rung"] == 0}
    assert (scores["find"]["metric"], scores["find"]["accuracy"]) == ("exact_match", 0.5)
    assert (scores["sense"]["metric"], scores["sense"]["accuracy"]) == ("spearman", pytest.approx(1))
    assert scores["mood"]["accuracy"] == 0.5
    assert "find, exact match" in told.err
    assert mergeladder("report", own.root, tmp_path / "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert "Spearman 100.0 %" in page
    assert "exact match 50.0 %" in page


@pytest.mark.parametrize(
    ("task", "row", "told"),
    [
        ("find", {"question": "of", "context": "ann", "answers": []}, "answers: Tuple should have at least 1 item"),
        ("find", {"question": "of", "context": "ann", "answers": [" "]}, "every answer"),
        ("find", {"question": " ", "context": "ann", "answers": ["ann"]}, "a question, its context"),
        ("find", {"text": "of", "label": "x"}, 'a row of a question answering is {"question"'),
        ("sense", {"text": "of", "text_pair": "ann"}, "score: this key is missing; a row of an embedding"),
        ("sense", {"text": "of", "text_pair": "ann", "score": "high"}, "score: Input should be a valid number"),
        ("sense", {"text": "of", "text_pair": " ", "score": 1}, "both texts"),
    ],
)
def test_rows_of_another_form_are_named(mixed_ladder: Ladder, tmp_path: Path, task: str, row: dict, told: str) -> None:
    with pytest.raises(InputError, match=r"rows\.jsonl:1: ") as caught:
        _read(mixed_ladder, tmp_path, task, [row])
    assert told in str(caught.value)


def test_pairs_of_one_score_are_refused(mixed_ladder: Ladder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no order is right"):
        _read(mixed_ladder, tmp_path, "sense", [{"text": "a", "text_pair": "b", "score": 1}] * 2)
