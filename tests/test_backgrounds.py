"""Drawn backgrounds."""

import numpy as np
import pytest

from jointmat.backgrounds import DRAWN, draw


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_background_has_the_size_asked_for_and_is_always_the_same(name):
    image = draw(name, 90, 160)
    assert image.shape == (90, 160, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, draw(name, 90, 160))
    assert image[:20].mean() != image[-20:].mean()
