import pytest

from merge_builder.errors import InputError
from merge_builder.methods import check_parameters, find_method
from merge_builder.methods.scale import scale_for


def test_a_scale_may_depend_on_the_groups_size() -> None:
    assert scale_for(1.5, 7) == 1.5
    table = {2: 1.0, 4: 2.0}
    assert [float(scale_for(table, n)) for n in (2, 3, 4, 9)] == [1.0, 1.5, 2.0, 2.0]


def test_a_table_is_checked() -> None:
    assert check_parameters(find_method("iso"), {"scale": {2: 1, 8: 1.4}}) == {"scale": {2: 1.0, 8: 1.4}}
    for bad in ({1: 1.0}, {}, {2: -1.0}):
        with pytest.raises(InputError, match="scale"):
            check_parameters(find_method("iso"), {"scale": bad})
