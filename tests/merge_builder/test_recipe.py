from pathlib import Path

import pytest

from merge_builder.errors import InputError
from merge_builder.recipe import load_recipe, parse_recipe

GOOD = {"base": "b", "tasks": {"t": {"model": "m"}}}


def test_the_default_is_ours_and_a_named_method_gets_the_published_trace() -> None:
    recipe = parse_recipe(GOOD)
    assert (recipe.method_use.name, recipe.method_use.parameters) == ("blend", {"scale": 1.0})
    assert (recipe.blocks, recipe.linkage, recipe.objective) == ("sublayer", "sum", "size")
    named = GOOD | {"method": {"name": "task_arithmetic"}}
    assert parse_recipe(named).linkage == "min"
    assert parse_recipe(named | {"linkage": "average"}).linkage == "average"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (GOOD | {"bas": "x"}, "'bas'.*'base'"),
        (GOOD | {"methods": {}}, "'methods'.*'method'"),
        ({"base": "b", "tasks": {"t": {"modle": "m"}}}, "'tasks.t.modle'.*'model'"),
        (GOOD | {"method": {"name": "task_arithmetic", "scales": 1}}, "'scales'.*'scale'"),
        (GOOD | {"method": {"scale": 1}}, "name"),
        (GOOD | {"blocks": "sublayers"}, "blocks.*'sublayer'"),
        (GOOD | {"linkage": "max"}, "linkage.*'min'"),
        ({"tasks": {"t": {"model": "m"}}}, "'base' is missing"),
        ({"base": "b", "tasks": {}}, "tasks"),
        ({"base": "b", "tasks": {"../x": {"model": "m"}}}, r"\.\./x"),
        (["base"], "recipe"),
    ],
)
def test_a_bad_recipe_names_the_key_and_the_nearest(document: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_recipe(document)


@pytest.mark.parametrize(
    "text", ["base: [", "base: a\nbase: b\ntasks: {t: {model: m}}\n", "!!python/object:os.system {}"]
)
def test_yaml_that_is_none_or_says_a_thing_twice_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(InputError, match=r"r\.yaml"):
        load_recipe(tmp_path / "r.yaml")


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml"):
        load_recipe(tmp_path / "none.yaml")
