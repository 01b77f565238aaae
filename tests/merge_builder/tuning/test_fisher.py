"""Fisher values along task vectors and the candidates made of them, where the curvature is 1 + w^2 in every weight."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from merge_builder.evaluation import Row
from merge_builder.ladder import Ladder
from merge_builder.recipe import load_recipe
from merge_builder.tuning.df_merge import FisherKind, df_candidate
from merge_builder.tuning.fisher import FisherCache
from merge_builder.tuning.material import Material, open_material

Arrays = Mapping[str, np.ndarray]
ROWS = {task: (Row(text=task),) for task in "abc"}


@pytest.fixture
def material(suite: Path, make_ladder: Callable[..., Ladder]) -> Iterator[Material]:
    with open_material(load_recipe(suite / "recipe.yaml"), make_ladder()) as opened:
        yield opened


@pytest.fixture
def asked() -> list[str]:
    """The tasks whose curvature was computed."""
    return []


@pytest.fixture
def cache(material: Material, tmp_path: Path, asked: list[str]) -> Callable[[], FisherCache]:
    """A new cache over one folder."""

    def curvature(task: str, weights: Arrays, rows: Sequence[Row]) -> Arrays:
        assert rows == ROWS[task]
        asked.append(task)
        return {name: 1 + values**2 for name, values in weights.items()}

    return lambda: FisherCache(tmp_path / "fisher", material, curvature, ROWS)


def merged(material: Material, cache: FisherCache, mu: Mapping[str, float], kind: FisherKind) -> Arrays:
    """Every tensor of the 1x model."""
    formula = df_candidate(material.tasks, mu, cache, kind).formula
    assert formula is not None
    places = material.places(material.ladder.manifest.rungs[-1])
    return {name: values for place in places for name, values in material.merge(place, formula).items()}


def check(suite: Path, made: Arrays, mu: Sequence[float], points: Sequence[float] | None) -> None:
    """Against theta0 + sum F mu tau / sum F in fp64, F = 1 + (theta0 + point tau)^2, or 1 without points."""
    base = load_file(suite / "base" / "model.safetensors")
    experts = [load_file(suite / task / "model.safetensors") for task in "abc"]
    assert made.keys() == base.keys()
    for name, values in made.items():
        origin = base[name].astype(float)
        tau = [own[f"bert.{name}"] - origin for own in experts]
        fisher = [np.ones_like(origin)] * 3
        if points is not None:
            fisher = [1 + (origin + point * own) ** 2 for point, own in zip(points, tau, strict=True)]
        total = sum(f * m * t for f, m, t in zip(fisher, mu, tau, strict=True))
        np.testing.assert_allclose(values, origin + total / sum(fisher), rtol=1e-4, atol=1e-5)


def test_values_are_taken_where_the_scaled_task_vector_ends(suite, material, cache) -> None:
    """In a group of three lambda is mu / 3, brought to an eighth and cut at 1."""
    mu = {"a": 0.75, "b": 1.56, "c": 3.6}
    check(suite, merged(material, cache(), mu, "dynamic"), [0.75, 1.56, 3.6], [0.25, 0.5, 1.0])


def test_static_values_are_those_of_the_experts(suite, material, cache) -> None:
    ones = dict.fromkeys("abc", 1.0)
    static, dynamic = (merged(material, cache(), ones, kind) for kind in ("static", "dynamic"))
    check(suite, static, [1, 1, 1], [1, 1, 1])
    check(suite, dynamic, [1, 1, 1], [0.375] * 3)
    assert any(not np.allclose(static[name], dynamic[name], atol=1e-3) for name in static)


def test_without_values_it_is_the_sum_of_the_scaled_task_vectors(suite, material, cache, asked) -> None:
    check(suite, merged(material, cache(), {"a": 0.3, "b": 0.6, "c": 1.5}, "uniform"), [0.3, 0.6, 1.5], None)
    assert asked == []


def test_each_expert_is_asked_once_a_point_whatever_is_opened_again(material, cache, asked) -> None:
    first = cache()
    merged(material, first, dict.fromkeys("abc", 1.0), "dynamic")
    assert (sorted(asked), first.passes) == (["a", "b", "c"], 3)
    merged(material, cache(), {"a": 1.01, "b": 0.99, "c": 1.2}, "dynamic")  # the same eighths
    assert (sorted(asked), first.passes) == (["a", "b", "c"], 3)
    merged(material, cache(), {"a": 1.0, "b": 1.0, "c": 1.5}, "dynamic")
    assert (sorted(asked), first.passes) == (["a", "b", "c", "c"], 4)


def test_values_of_sixteen_bits_are_refused(material, tmp_path) -> None:
    def halves(_task: str, weights: Arrays, _rows: Sequence[Row]) -> Arrays:
        return {name: values.astype(np.float16) for name, values in weights.items()}

    with pytest.raises(TypeError, match="at least float32"):
        merged(material, FisherCache(tmp_path / "fisher", material, halves, ROWS), {}, "dynamic")
