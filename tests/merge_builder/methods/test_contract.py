import pytest

from merge_builder.errors import InputError
from merge_builder.methods import REGISTRY, check_parameters, find_method


def test_defaults_come_from_the_signature() -> None:
    assert check_parameters(find_method("task_arithmetic"), {}) == {"scale": 1.0}
    assert check_parameters(find_method("average"), {}) == {}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"scal": 2.0}, r"'scal'.*'scale'"),
        ({"scale": "much"}, "scale"),
        ({"scale": -1}, "scale"),
        ({"scale": float("nan")}, "scale"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_parameters(find_method("task_arithmetic"), parameters)


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'task_arithmetic'"):
        find_method("task_aritmetic")


def test_every_method_cites_its_paper_and_formula() -> None:
    for method in REGISTRY.values():
        assert method.paper.startswith("https://arxiv.org/abs/")
        assert method.formula
        assert method.function.__doc__
