import os

import numpy as np
import pytest

from jointmat.errors import JointmatError
from jointmat.evaluation.memory import growth, peak, reset_peak

MEGABYTES = 200


def allocate(megabytes):
    np.ones(megabytes * 1_000_000, np.uint8)


def test_growth_is_what_the_work_allocates_whatever_this_process_holds():
    ballast = np.ones(2 * MEGABYTES * 1_000_000, np.uint8)
    small, large = (growth(allocate, megabytes) for megabytes in (1, MEGABYTES))
    assert ballast.all()
    assert 0 <= small < 0.25 * MEGABYTES
    assert 0.95 * MEGABYTES < large - small < 1.25 * MEGABYTES


def test_a_process_that_is_killed_is_one_line():
    with pytest.raises(JointmatError, match="abort: its process ended"):
        growth(os.abort)


def test_the_peak_outlives_what_was_freed():
    before = peak()
    allocate(MEGABYTES)
    assert peak() >= before
    reset_peak()
    assert peak() > 10
