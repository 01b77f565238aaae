"""A ladder of images through `mergeladder serve`: files as curl sends them, against transformers."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from ..images import LABELS, TOKENS, build_ladder, picture, transformers_answers
from .conftest import Served

pytestmark = pytest.mark.e2e
FILES = {"one.png": picture(1), "tall.jpg": picture(2, "JPEG", size=(33, 90)), "three.webp": picture(3, "WEBP", "RGBA")}


def test_files_get_the_answers_of_transformers(
    serve: Callable[..., AbstractContextManager[Served]], tmp_path: Path
) -> None:
    ladder = build_ladder(tmp_path)
    rung = len(ladder.manifest.rungs) // 2  # some blocks are shared and some are not
    expected = transformers_answers(ladder, rung, tmp_path / "exported")
    parts = [("image", (name, file)) for name, file in FILES.items()]
    form = {"tasks": "all", "parameters": json.dumps({"return_logits": True})}

    with serve(str(ladder.root), "--rung", f"#{rung}") as server:
        answer = server.client.post("/v1/predict", files=parts, data=form).raise_for_status().json()
        server.interrupt()
        code, _ = server.wait()

    assert answer["model"]["rung"] == f"#{rung}"
    assert answer["usage"] == {"tokens": TOKENS * len(FILES), "truncated": 0}
    assert set(answer["results"]) == set(LABELS)
    for task, result in answer["results"].items():
        np.testing.assert_allclose(result["logits"], [expected(task, file) for file in FILES.values()], atol=1e-4)
    assert code == 0
