"""Whatever schemathesis makes of the OpenAPI document, valid or not: no 500, and only answers that are documented."""

import itertools
from pathlib import Path

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from merge_builder.ladder import rung_at
from serving.api.app import create_app
from serving.engine.engine import Engine, load_engine
from serving.service import Choice, Service

from ...images import build_ladder

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
turns = itertools.count()


@pytest.fixture(params=["texts", "images"])
def document(request: pytest.FixtureRequest, engine: Engine, serve, tmp_path: Path) -> BaseSchema:
    """The OpenAPI document of a real server; it has a task `ant`, or `hue`."""
    if request.param == "images":
        ladder = build_ladder(tmp_path)
        engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    url = serve(create_app(Service(engine, Choice(None, "asked for"))))
    return schemathesis.openapi.from_url(f"{url}/openapi.json")


SETTINGS = hypothesis.settings(
    max_examples=10, derandomize=True, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_no_request_makes_the_server_fail(document: BaseSchema, mode: schemathesis.GenerationMode) -> None:
    statuses = set()

    def ask(case: schemathesis.Case) -> None:
        turn = next(turns)
        if "task" in case.path_parameters and turn % 2:
            case.path_parameters["task"] = ("ant", "hue")[turn // 4 % 2]  # of the two ladders
        if case.path.startswith("/v1") and case.path.endswith("/predict") and turn % 4 > 1:
            case.headers["Accept"] = "application/x-ndjson"
        statuses.add(case.call_and_validate(checks=CHECKS, timeout=10).status_code)

    operations = [found.ok() for found in document.get_all_operations()]
    if mode is schemathesis.GenerationMode.NEGATIVE:
        operations = [operation for operation in operations if operation.body]  # any path and no body are valid
    assert len(operations) >= 4
    for operation in operations:
        SETTINGS(hypothesis.given(case=operation.as_strategy(mode))(ask))()
    assert {200, 404} <= statuses if mode is schemathesis.GenerationMode.POSITIVE else {422} <= statuses
