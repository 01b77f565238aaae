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
        (["base"], "the recipe: write the keys base and tasks"),
        (None, "the recipe: write the keys base and tasks"),
        ({"base": "b", "tasks": None}, r"tasks: write \{reviews: \{model"),
        ({"base": "b", "tasks": {"t": "models/t"}}, r"tasks\.t: write \{model: models/t\}"),
        ({"base": "b", "tasks": {1: {"model": "m"}}}, "1 cannot be a task's name.*quotes"),
        (GOOD | {"method": "blend"}, r"method: write \{name: blend\}"),
    ],
)
def test_a_bad_recipe_names_the_key_and_the_nearest(document: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_recipe(document)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml"):
        load_recipe(tmp_path / "none.yaml")
