import numpy as np
import pytest
from pydantic import ValidationError

from deploy.simulate.scale import scale_to
from deploy.simulate.service_times import ServiceTimes
from merge_builder.errors import InputError

ROWS = [(1.0, 1, 10, 0.02), (1.0, 4, 40, 0.05), (3.0, 1, 10, 0.04), (3.0, 4, 40, 0.09)]


def times(rows=ROWS):
    keys = ("ratio", "texts", "tokens", "seconds")
    measured = [dict(zip(keys, row, strict=True)) for row in rows]
    return ServiceTimes.model_validate({"ladder": "l", "machine": "m", "parameters": 1000, "times": measured})


def test_times_are_straight_between_what_was_measured():
    seconds = times().seconds(2.0, np.array([10.0, 25.0, 40.0]))
    assert seconds == pytest.approx([0.03, 0.05, 0.07])


def test_beyond_what_was_measured():
    # A lone short text takes as long as the smallest batch; twice the largest batch twice as long.
    assert times().seconds(1.0, np.array([1.0, 80.0])) == pytest.approx([0.02, 0.10])
    assert times().seconds(9.0, np.array([40.0])) == pytest.approx([0.09])


def test_operations_are_two_a_parameter_and_token():
    assert times().operations_per_second == pytest.approx(2 * 1000 * 40 / 0.05)


@pytest.mark.parametrize("rows", [[], ROWS[:3]])
def test_a_table_with_gaps_is_refused(rows):
    with pytest.raises(ValidationError, match="every rung needs a time"):
        times(rows)


def test_a_scale_is_parameters_over_the_ladders(ladder):
    one_model = sum(block.bytes for block in ladder.manifest.blocks)
    scale = scale_to("7B", ladder.manifest, times())
    assert scale.bytes * one_model == pytest.approx(14e9)
    assert scale.seconds == pytest.approx(7e6)
    assert (scale_to(None, ladder.manifest, times()).bytes, scale_to("350m", ladder.manifest, times()).seconds) == (
        1.0,
        350_000,
    )


@pytest.mark.parametrize("text", ["seven", "0B", "-7B", "7T"])
def test_what_is_no_number_of_parameters_is_refused(ladder, text):
    with pytest.raises(InputError, match="write 350M or 7B"):
        scale_to(text, ladder.manifest, times())
