"""The bundled weights still make the alpha that they are known to make."""

import numpy as np
import pytest

from tests.golden import predicted, stored

BUDGETS = {"fp32": 0.003, "int8": 0.015}
"""Mean |Δalpha|: runtimes differ by less, and a mistake in the steps before or after the network by more."""


@pytest.mark.parametrize("precision", BUDGETS)
def test_the_alpha_of_the_portrait(precision):
    assert np.abs(predicted(precision=precision) - stored()).mean() < BUDGETS[precision]


def test_the_budget_notices_a_shift_of_three_pixels():
    golden = stored()
    assert 0.2 < golden.mean() < 0.9 and {0.0, 1.0} <= set(np.unique(golden))
    assert np.abs(np.roll(golden, 3, axis=1) - golden).mean() > BUDGETS["fp32"]
