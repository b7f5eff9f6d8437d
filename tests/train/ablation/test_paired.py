"""Differences to the reference, image by image."""

import numpy as np
import pytest

from train.ablation.paired import paired_difference


def run(seed, **sad):
    return {"seed": seed, "images": {name: {"sad": value} for name, value in sad.items()}}


REFERENCE = [run(1, a=1.0, b=2.0, c=3.0), run(2, a=2.0, b=3.0, c=4.0)]


def test_only_the_same_seeds_and_photos_are_paired():
    found = paired_difference([run(2, a=3.0, b=6.0, d=100.0), run(3, a=100.0)], REFERENCE, "sad")
    assert found == pytest.approx((2.0, 1.0))  # 1 and 3


def test_seeds_are_averaged_before_the_error_over_photos():
    found = paired_difference([run(1, a=2.0, b=2.0, c=9.0), run(2, a=1.0, b=5.0, c=4.0)], REFERENCE, "sad")
    by_photo = [0.0, 1.0, 3.0]
    assert found == pytest.approx((np.mean(by_photo), np.std(by_photo, ddof=1) / np.sqrt(3)))


def test_one_photo_has_no_error_and_no_pair_no_difference():
    assert paired_difference([run(1, a=3.5)], REFERENCE, "sad") == (2.5, None)
    assert paired_difference([run(5, a=3.5)], REFERENCE, "sad") is None
    assert paired_difference([run(1, a=3.5)], [], "sad") is None
    assert paired_difference([run(1, a=3.5)], REFERENCE, "mad") is None
