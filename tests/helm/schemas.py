"""Kubernetes' own schemas and KubeRay's, closed: a key that they do not know is an error."""

import json
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema_rs import Draft202012Validator

from .charts import ROOT, Object
from .tools import tool

VERSIONS = tuple(f"1.{minor}" for minor in range(28, 38))
KINDS = {
    "v1 Pod",
    "v1 Service",
    "v1 ServiceAccount",
    "batch/v1 Job",
    "policy/v1 PodDisruptionBudget",
    "networking.k8s.io/v1 Ingress",
    "networking.k8s.io/v1 NetworkPolicy",
}
RAYSERVICE_CRD = ROOT.parent / "shared/kuberay/ray.io_rayservices.v1.7.0.yaml"


@cache
def kubernetes(version: str) -> Draft202012Validator:
    """The validator of Kubernetes `version`'s built-in objects, as `{"v1 Pod": [pod, ...], ...}`."""
    name = f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local-strict/_definitions.json"
    with zipfile.ZipFile(tool("kubernetes-schemas").path) as wheel:
        definitions: dict[str, Any] = json.loads(wheel.read(name))["$defs"]
    kinds = {}
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", ()):
            key = f"{kind['group']}/{kind['version']} {kind['kind']}".lstrip("/")
            if key in KINDS:
                kinds[key] = {"type": "array", "items": {"$ref": f"#/$defs/{name}"}}
    return Draft202012Validator({"$defs": definitions, "properties": kinds, "additionalProperties": False})


@cache
def rayservice(crd: Path = RAYSERVICE_CRD) -> Draft202012Validator:
    """The validator of a RayService by its CustomResourceDefinition."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    (version,) = (v for v in yaml.load(crd.read_text(), loader)["spec"]["versions"] if v["name"] == "v1")
    schema = _close(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return Draft202012Validator(schema)


def _close(schema: Any) -> Any:
    """A structural schema as JSON Schema that refuses keys which it does not declare: strict field validation."""
    if isinstance(schema, list):
        return [_close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _close(value) for key, value in schema.items() if not key.startswith("x-kubernetes")}
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    if "properties" in closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed


def errors(validator: Draft202012Validator, instance: Object) -> Iterator[str]:
    """What is wrong with `instance`, each with its place."""
    for error in validator.iter_errors(instance):
        yield f"{'/'.join(map(str, error.instance_path))}: {error.message}"
