"""The application as a whole: its lifespan, its documentation, its metrics."""

import httpx
import jsonschema_rs
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from serving.api.app import create_app
from serving.engine.engine import Engine
from serving.service import Choice, Service


def test_the_service_starts_and_drains_with_the_application(engine: Engine) -> None:
    service = Service(engine, Choice(None, "asked for"))
    with TestClient(create_app(service)) as client:
        assert client.get("/v2/health/ready").status_code == 200
    assert not service.ready


@pytest.mark.anyio
async def test_openapi_describes_every_body_and_all_references_lead_somewhere(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]

    def references(node: object) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*map(references, node.values()))
        return set().union(*map(references, node)) if isinstance(node, list) else set()

    assert {ref.removeprefix("#/components/schemas/") for ref in references(document)} <= set(schemas)
    for path in ("/v1/predict", "/v1/tasks/{task}/predict", "/v2/models/{task}/infer"):
        operation = document["paths"][path]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schemas[schema["$ref"].rpartition("/")[2]]["examples"]
        assert {"200", "400", "404", "413", "422", "429", "503"} <= set(operation["responses"])
    assert (await client.get("/docs")).status_code == 200


@pytest.mark.anyio
async def test_every_body_has_an_example_that_fits_it(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    contents = [
        content.get("schema", {})
        for operations in document["paths"].values()
        for operation in operations.values()
        for message in (operation.get("requestBody", {}), *operation["responses"].values())
        for content in message.get("content", {}).values()
    ]
    alternatives = [one for schema in contents for one in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ()))]
    bodies = {one["$ref"].rpartition("/")[2] for one in alternatives if "$ref" in one}

    assert {"TaskRequest", "MixedResponse", "TasksLine", "ErrorBody", "InferRequest", "Health"} <= bodies
    for name in bodies:
        [*examples] = document["components"]["schemas"][name]["examples"]
        validator = jsonschema_rs.validator_for(
            {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        )
        for example in examples:
            validator.validate(example)


@pytest.mark.anyio
async def test_the_documented_examples_work(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    for path, model in (
        ("/v1/predict", "TasksRequest"),
        ("/v1/tasks/ant/predict", "TaskRequest"),
        ("/v2/models/ant/infer", "InferRequest"),
    ):
        for example in schemas[model]["examples"]:
            assert (await client.post(path, json=example)).status_code == 200


@pytest.mark.anyio
async def test_metrics_are_what_prometheus_reads(client: httpx.AsyncClient) -> None:
    await client.post("/v1/tasks/ant/predict", json={"inputs": ["w1"]})
    response = await client.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}

    assert response.headers["Content-Type"].startswith("text/plain")
    assert all(name.startswith("mergeladder_") for name in families)
    assert {f"mergeladder_{name}" for name in ("requests", "inputs", "batch_tasks", "rung_info", "ready")} <= set(
        families
    )
