import numpy as np
import pytest

from train.data.shapes import draw_shape

SEEDS = range(12)


@pytest.mark.parametrize("size", [(96, 64), (64, 96)])
def test_a_shape_is_coverage_of_the_size_that_was_asked_for(size):
    for seed in SEEDS:
        alpha = draw_shape(np.random.default_rng(seed), size)
        assert alpha.shape == size and alpha.dtype == np.float32
        assert alpha.min() >= 0 and alpha.max() <= 1
        assert 0.02 < alpha.mean() < 0.98


def test_shapes_are_hard_to_matte_and_differ():
    shapes = [draw_shape(np.random.default_rng(seed), (128, 128)) for seed in SEEDS]
    soft = [float(((a > 0.02) & (a < 0.98)).mean()) for a in shapes]
    assert min(soft) > 0.01 and max(soft) > 0.1
    assert len({float(a.sum()) for a in shapes}) == len(shapes)


def test_a_shape_is_a_function_of_its_seed():
    first, again = (draw_shape(np.random.default_rng(7), (64, 64)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
