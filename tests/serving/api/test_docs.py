"""docs/api.md against the application: its example is sent, its error table is the code's."""

import re
from pathlib import Path

import httpx
import pytest

from serving.api.app import create_app
from serving.api.errors import KINDS
from serving.service import Service

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.anyio
async def test_the_example_is_answered(client: httpx.AsyncClient) -> None:
    [example] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    response = await client.post("/v1/tasks/ant/predict", content=example)

    assert response.status_code == 200
    assert [len(ranked) for ranked in response.json()["predictions"]] == [1, 1]
    assert len(response.json()["logits"]) == 2


def test_the_table_has_every_error_under_its_status() -> None:
    told = {
        (int(status), kind)
        for status, kinds in re.findall(r"^\| (\d{3}) \| (.*) \|$", PAGE, re.MULTILINE)
        for kind in re.findall(r"`(\w+)`", kinds)
    }
    raised = {(kind.status, kind.type) for kind in KINDS.values()}

    assert told - raised == {(404, "not_found"), (405, "method_not_allowed"), (500, "internal")}
    assert raised <= told


@pytest.mark.anyio
async def test_the_routes_exist(service: Service, members) -> None:
    paths = create_app(service, fleet=members).openapi()["paths"]
    for method, path in re.findall(r"`(GET|POST) (/\S+)`", PAGE):
        assert method.lower() in paths[path]
