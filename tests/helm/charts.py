"""The chart, rendered by the real Helm."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from .tools import FETCH, tool

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm/mergeladder"
EXAMPLES = sorted((ROOT / "examples/kubernetes").glob("*.yaml"))
HELMS = ("helm-3", "helm-4")
Object = dict[str, Any]


class RefusedError(Exception):
    """Helm did not render; the message is its own."""


def skip_without(*names: str) -> pytest.MarkDecorator:
    """Skips where one of these tools is not in the cache."""
    missing = [tool(name).name for name in names if not tool(name).path.exists()]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not in the cache: {FETCH}")


def helm(name: str, *arguments: str) -> str:
    """What `helm arguments` prints.

    Raises:
        RefusedError: it failed.
    """
    done = subprocess.run([tool(name).path, *arguments], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise RefusedError(done.stderr + done.stdout)
    return done.stdout


def render(
    name: str, values: Path | Mapping[str, Any], *, chart: Path = CHART, options: Sequence[str] = ()
) -> list[Object]:
    """The objects of release `ladder` in namespace `models` with `values`, a file or what would be in it.

    Raises:
        RefusedError: Helm, the schema or the chart's own checks refuse.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        if not isinstance(values, Path):
            yaml.safe_dump(dict(values), file)
            file.flush()
            values = Path(file.name)
        arguments = ["template", "ladder", str(chart), "--namespace", "models", "--values", str(values)]
        return [found for found in yaml.safe_load_all(helm(name, *arguments, *options)) if found]


def one_object(objects: Sequence[Object], kind: str) -> Object:
    """The only one of `kind`."""
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def pod_templates(objects: Sequence[Object]) -> dict[str, Object]:
    """Every pod that comes of `objects`, as `{metadata, spec}`, by a name of ours."""
    cluster = one_object(objects, "RayService")["spec"]["rayClusterConfig"]
    pods = {"head": cluster["headGroupSpec"]["template"]}
    pods |= {group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]}
    for each in objects:
        if each["kind"] == "Job":
            pods[each["metadata"]["name"]] = each["spec"]["template"]
        if each["kind"] == "Pod":
            pods[each["metadata"]["name"]] = {"metadata": each["metadata"], "spec": each["spec"]}
    return pods
