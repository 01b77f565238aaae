"""Every example's objects, rendered once by each Helm."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from .charts import EXAMPLES, HELMS, Object, render, skip_without

MINIMAL = {"ladder": {"claim": {"name": "ladders"}}, "auth": {"keysSecret": "keys"}}
rendered = cache(render)


@pytest.fixture(scope="session", params=[pytest.param(name, marks=skip_without(name)) for name in HELMS])
def helm_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session", params=EXAMPLES, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture(scope="session")
def objects(helm_name: str, example: Path) -> list[Object]:
    """What an example renders."""
    return rendered(helm_name, example)


@pytest.fixture(scope="session")
def render_with(helm_name: str) -> Callable[..., list[Object]]:
    """`render_with({"budget": "1GiB"})`: the smallest values that will do, and these on top."""

    def with_values(values: dict[str, object] | None = None) -> list[Object]:
        return render(helm_name, MINIMAL | (values or {}))

    return with_values
