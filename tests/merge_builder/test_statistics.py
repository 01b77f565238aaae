from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save_file

from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.statistics import Magnitudes, count_magnitudes, magnitudes

floats = st.floats(-(2.0**99), 2.0**99, width=32)


@given(values=arrays(np.float32, st.integers(1, 200), elements=floats), density=st.floats(0.01, 1.0))
def test_the_threshold_keeps_the_share_and_at_most_a_bin_more(values: np.ndarray, density: float) -> None:
    threshold = Magnitudes(count_magnitudes(values)).threshold(density)
    exact = np.sort(np.abs(values))[::-1][max(1, int(density * len(values))) - 1]
    if exact > 1e-38:
        assert exact * (1 - 2**-11) <= threshold <= exact
    assert threshold > 0


def test_a_quantile_is_that_of_the_sorted_values() -> None:
    values = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    histogram = Magnitudes(count_magnitudes(values))
    for share in (1e-4, 0.5, 0.9, 1 - 1e-4):
        exact = np.sort(np.abs(values))[int(share * len(values)) - 1]
        np.testing.assert_allclose(histogram.quantile(share), exact, rtol=2**-11)


def test_the_pass_over_files_sees_every_change_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base, own = ({"w": rng.normal(size=(300, 400)).astype(np.float32), "b": np.ones(3, np.float32)} for _ in range(2))
    files = []
    for name, weights in (("base", base), ("own", own)):
        save_file(weights, tmp_path / name)
        files.append(TensorFile(tmp_path / name))
    found = magnitudes(*([file.tensors["w"], file.tensors["b"]] for file in files))
    expected = count_magnitudes(np.concatenate([(own[n] - base[n]).ravel() for n in ("w", "b")]))
    np.testing.assert_array_equal(found.counts, expected)
