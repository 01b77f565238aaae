import numpy as np

from merge_builder.methods.task_arithmetic import task_arithmetic


def test_it_scales_the_mean_not_the_sum() -> None:
    vectors = np.array([[1.0, -2.0], [3.0, 6.0]], np.float32)
    np.testing.assert_array_equal(task_arithmetic(vectors, scale=1.5), np.array([3.0, 3.0], np.float32))
    np.testing.assert_array_equal(vectors, np.array([[1.0, -2.0], [3.0, 6.0]], np.float32))
