"""A ladder of every kind of task through `mergeladder serve`, asked by every route, against transformers."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
import torch
from tokenizers import Encoding
from transformers import (
    AutoTokenizer,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)

from merge_builder.export import export
from merge_builder.ladder import Ladder

from ..kinds import NAMES
from .conftest import Served

pytestmark = pytest.mark.e2e
WORDS = ["ann", "the", "lon"]  # each is one token
TEXT, QUESTION, CONTEXT = " ".join(WORDS), "the ann", "lon ann the lon"
ASKED = {"question": QUESTION, "context": CONTEXT}


def test_every_kind_is_answered_by_every_route(
    serve: Callable[..., AbstractContextManager[Served]], mixed_ladder: Ladder, tmp_path: Path
) -> None:
    rung = len(mixed_ladder.manifest.rungs) // 2  # some blocks are shared and some are not

    def theirs(kind: type, task: str, text: str, pair: str | None = None) -> tuple[object, Encoding]:
        if not (tmp_path / task).exists():
            export(mixed_ladder, task, mixed_ladder.manifest.rungs[rung], tmp_path / task)
        tokens = AutoTokenizer.from_pretrained(tmp_path / task)(text, pair, return_tensors="pt")
        with torch.inference_mode():
            return kind.from_pretrained(tmp_path / task).eval()(**tokens), tokens.encodings[0]

    mood, _ = theirs(BertForSequenceClassification, "mood", TEXT)
    names, _ = theirs(BertForTokenClassification, "names", TEXT)
    find = theirs(BertForQuestionAnswering, "find", QUESTION, CONTEXT)
    sense, _ = theirs(BertModel, "sense", TEXT)
    vector = torch.nn.functional.normalize(sense.last_hidden_state[0].mean(0), dim=0).tolist()

    with serve(str(mixed_ladder.root), "--rung", f"#{rung}") as server:
        inputs = [{"words": WORDS, "tasks": ["names", "sense", "mood"]}, {**ASKED, "tasks": ["find", "mood"]}]
        together = _post(server.client, "/v1/predict", inputs=inputs)
        headers = {"Accept": "application/x-ndjson"}
        lines = server.client.post("/v1/predict", json={"inputs": inputs}, headers=headers).raise_for_status().text
        alone = {
            "mood": _post(server.client, "/v1/tasks/mood/predict", inputs=[TEXT]),
            "names": _post(server.client, "/v1/tasks/names/predict", inputs=[{"words": WORDS}]),
            "find": _post(server.client, "/v1/tasks/find/predict", inputs=[ASKED]),
        }
        embedded = _post(server.client, "/v1/embeddings", model="sense", input=[TEXT])
        inferred = {task: _infer(server.client, task, text=TEXT) for task in ("mood", "names", "sense")}
        inferred["find"] = _infer(server.client, "find", text=QUESTION, text_pair=CONTEXT)
        server.interrupt()
        code, _ = server.wait()

    assert together["model"]["rung"] == f"#{rung}"
    first, second = together["answers"]
    assert [set(first), set(second)] == [{"names", "sense", "mood"}, {"find", "mood"}]
    assert [json.loads(line)["answers"] for line in lines.splitlines()[:2]] == [first, second]

    best = names.logits[0, 1:-1].softmax(-1).max(-1)  # a token a word, between two special ones
    for words in (first["names"]["words"], alone["names"]["words"][0]):
        assert [(word["word"], word["label"]) for word in words] == [
            (word, NAMES[number]) for word, number in zip(WORDS, best.indices, strict=True)
        ]
        assert [word["score"] for word in words] == pytest.approx(best.values.tolist(), abs=1e-4)
    for span in (second["find"]["answers"][0], alone["find"]["answers"][0][0]):
        assert (span["answer"], span["score"]) == _best_span(*find)
    for found in (first["sense"]["embedding"], embedded["data"][0]["embedding"], inferred["sense"]["embedding"]):
        assert found == pytest.approx(vector, abs=1e-4)
    [scores] = alone["mood"]["predictions"]
    assert scores[0]["score"] == pytest.approx(float(mood.logits[0].softmax(-1).max()), abs=1e-4)
    assert inferred["mood"]["logits"] == pytest.approx(mood.logits[0].tolist(), abs=1e-4)
    assert inferred["names"]["logits"] == pytest.approx(names.logits.flatten().tolist(), abs=1e-4)
    assert {name: values[0] for name, values in inferred["find"].items()} == pytest.approx(
        alone["find"]["answers"][0][0]
    )
    assert code == 0


def _post(client: httpx.Client, path: str, **body: object) -> dict:
    return client.post(path, json=body).raise_for_status().json()


def _infer(client: httpx.Client, task: str, **texts: str) -> dict[str, list]:
    columns = [{"name": name, "datatype": "BYTES", "shape": [1], "data": [text]} for name, text in texts.items()]
    answer = _post(client, f"/v2/models/{task}/infer", inputs=columns)
    return {output["name"]: output["data"] for output in answer["outputs"]}


def _best_span(output: object, encoding: Encoding) -> tuple[str, object]:
    """The likeliest words of the context, and how likely they are."""
    shown = [0, *(number for number, part in enumerate(encoding.sequence_ids) if part == 1)]
    start, end = (logits[0, shown].softmax(0) for logits in (output.start_logits, output.end_logits))
    last = len(shown)
    score, i, j = max((float(start[i] * end[j]), i, j) for i in range(1, last) for j in range(i, last))
    return " ".join(CONTEXT.split()[i - 1 : j]), pytest.approx(score, abs=1e-4)
