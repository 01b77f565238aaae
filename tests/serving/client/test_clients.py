"""The clients against the real application over a pico ladder."""

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from merge_builder.ladder import Ladder, rung_at
from serving.api.app import create_app
from serving.client import (
    BodyTooLarge,
    ConnectionFailed,
    EmptyText,
    InputTooLong,
    InvalidRequest,
    MergeLadderApiError,
    NoRouter,
    NotFound,
    QuestionInput,
    RungTooSmall,
    TextInput,
    UnknownTask,
    WordsInput,
)
from serving.engine.engine import Engine, load_engine
from serving.service import Choice, Service

from ..conftest import running

LONG = " ".join(f"w{n}" for n in range(20))
NOBODY = "http://127.0.0.1:9"  # the discard port, where nothing listens


@pytest.fixture(scope="module")
def url(pico_ladder: Ladder, middle_rung: int) -> Iterator[str]:
    """The real application, which takes bodies of at most 4096 bytes."""
    engine = load_engine(pico_ladder, rung_at(pico_ladder.manifest, middle_rung))
    app = create_app(Service(engine, Choice(budget=None, reason="asked for")), max_body_bytes=4096)
    with running(app, 0) as url:
        yield url


def test_predict_is_what_plain_http_answers(ask, url: str) -> None:
    inputs = ["w1 w2", {"text": "w3", "text_pair": "w4"}, TextInput(text="w5")]
    answer = ask(url, "predict", "bee", inputs, top_k=2, return_logits=True)
    body = {
        "inputs": ["w1 w2", {"text": "w3", "text_pair": "w4"}, {"text": "w5"}],
        "parameters": {"top_k": 2, "return_logits": True},
    }
    plain = httpx.post(f"{url}/v1/tasks/bee/predict", json=body).json()
    told = answer.model_dump()

    for part in ("task", "model", "predictions", "logits", "usage"):
        assert told[part] == plain[part]
    assert [len(labels) for labels in answer.predictions] == [2, 2, 2]
    assert answer.predictions[0][0].label in ("low", "mid", "high")
    assert answer.timings_ms.total > 0


def test_predict_many_is_what_plain_http_answers(ask, url: str) -> None:
    answer = ask(url, "predict_many", ["w1", LONG], ["cat", "bee"], top_k=1)
    body = {"inputs": ["w1", LONG], "tasks": ["cat", "bee"], "parameters": {"top_k": 1}}
    plain = httpx.post(f"{url}/v1/predict", json=body).json()

    assert answer.model_dump(exclude_none=True)["results"] == plain["results"]
    assert answer.usage.truncated == 14
    assert set(ask(url, "predict_many", ["w1"]).results) == {"ant", "bee", "cat"}


def test_tasks_and_ladder(ask, url: str, engine: Engine) -> None:
    tasks, ladder = ask(url, "tasks"), ask(url, "ladder")

    assert [(task.name, task.max_length) for task in tasks] == [("ant", 40), ("bee", 8), ("cat", 40)]
    assert tasks[1].labels == ("low", "mid", "high")
    assert (ladder.name, ladder.current.rung) == ("pico", engine.rung.name)
    assert len(ladder.rungs) == len(engine.ladder.manifest.rungs)


def test_an_answer_by_rung_can_be_asked_for_again(ask, url: str) -> None:
    rung = ask(url, "predict", "ant", ["w1"]).model.rung

    assert ask(url, "predict", "ant", ["w1"], min_rung=rung).model.rung == rung


BAD = [
    ("predict", ("bees", ["w1"]), {}, UnknownTask, 404, "task"),
    ("predict", ("a/b", ["w1"]), {}, NotFound, 404, None),
    ("predict", ("bee", []), {}, InvalidRequest, 422, "inputs"),
    ("predict", ("bee", "w1"), {}, InvalidRequest, 422, "inputs"),
    ("predict", ("bee", ["w1"]), {"topk": 1}, InvalidRequest, 422, "parameters.topk"),
    ("predict", ("bee", ["w1", " "]), {}, EmptyText, 422, "inputs[1]"),
    ("predict", ("bee", [LONG]), {"truncate": False}, InputTooLong, 422, "inputs[0]"),
    ("predict", ("bee", ["w1 " * 2000]), {}, BodyTooLarge, 413, None),
    ("predict_each", (["w1"], "auto"), {}, NoRouter, 422, "tasks"),
    ("predict_many", (["w1"], ["ant", "wasp"]), {}, UnknownTask, 404, "tasks[1]"),
]


@pytest.mark.parametrize(("method", "args", "options", "kind", "status", "param"), BAD)
def test_every_error_has_its_class(
    ask, url: str, method: str, args: tuple, options: dict, kind: type[MergeLadderApiError], status: int, param: str
) -> None:
    with pytest.raises(MergeLadderApiError) as caught:
        ask(url, method, *args, **options)
    error = caught.value

    assert type(error) is kind
    assert (error.status, error.param) == (status, param)
    assert error.request_id
    assert str(error) == error.message != ""


def test_a_rung_that_stays_too_small(ask, url: str) -> None:
    with pytest.raises(RungTooSmall, match="at least #0") as caught:
        ask(url, "predict", "ant", ["w1"], min_rung="#0", client={"retries": 0})

    assert (caught.value.type, caught.value.status) == ("rung_too_small", 503)


def test_nobody_there(ask) -> None:
    with pytest.raises(ConnectionFailed, match=NOBODY) as caught:
        ask(NOBODY, "tasks", client={"retries": 1})

    assert caught.value.status is None


def test_a_url_without_a_scheme(ask) -> None:
    with pytest.raises(ConnectionFailed, match="protocol"):
        ask("127.0.0.1:9", "tasks")


def test_the_client_imports_no_model_library_and_no_web_framework() -> None:
    script = "import sys, serving.client; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())

    assert "httpx" in loaded
    assert not loaded & {"torch", "transformers", "tokenizers", "ray", "fastapi", "starlette", "numpy"}


def test_kinds_beside_classification(ask, serve, mixed_ladder: Ladder) -> None:
    rung = rung_at(mixed_ladder.manifest, len(mixed_ladder.manifest.rungs) - 1)
    url = serve(create_app(Service(load_engine(mixed_ladder, rung), Choice(budget=None, reason="asked for"))))
    words = ask(url, "predict", "names", [{"words": ["Ann", "of"]}]).words
    assert [word.word for word in words[0]] == ["Ann", "of"]
    named = ask(url, "predict", "names", [WordsInput(words=["Ann"])], aggregation_strategy="first")
    assert (named.words, len(named.entities)) == (None, 1)
    asked = QuestionInput(question="of", context="Ann of the")
    [spans] = ask(url, "predict", "find", [asked], top_k=2, max_answer_len=2).answers
    assert all("Ann of the"[span.start : span.end] == span.answer for span in spans)
    assert len(spans) == 2
    vectors = ask(url, "embed", "sense", ["Ann", "of the"])
    assert [len(vector) for vector in vectors] == [32, 32]
    assert {task.name: task.kind for task in ask(url, "tasks")}["find"] == "question_answering"
