"""Codings of trimaps that programs write, and those that mean nothing."""

import numpy as np
import pytest
from PIL import Image

from jointmat.errors import InputError, JointmatWarning
from jointmat.io.image import load_trimap
from jointmat.io.trimap import trimap_levels

EXPECTED = np.array([[0, 0, 128, 255]], np.uint8)


def grey(*levels):
    return np.repeat(np.array([levels], np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("levels", [(0, 0, 128, 255), (10, 84, 85, 170), (0, 0, 127, 254), (0, 0, 1, 2)])
def test_grey_levels_and_class_numbers(levels):
    np.testing.assert_array_equal(trimap_levels(grey(*levels), None), EXPECTED)


@pytest.mark.parametrize("levels", [(0, 0, 128, 255), (0, 0, 1, 2)])
def test_a_trimap_in_the_alpha_channel_of_a_black_image(levels):
    black = np.zeros((1, 4, 3), np.uint8)
    np.testing.assert_array_equal(trimap_levels(black, np.array([levels], np.uint8)), EXPECTED)


def test_colours_of_label_tools(tmp_path):
    image = Image.fromarray(np.array([[0, 0, 1, 2]], np.uint8), "P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_trimap(tmp_path / "a.png", (1, 4)), EXPECTED)


def test_a_mask_is_read_with_a_warning():
    for levels in ((0, 0, 1, 1), (0, 0, 255, 255)):
        with pytest.warns(JointmatWarning, match="nothing is unknown"):
            found = trimap_levels(grey(*levels), None)
        np.testing.assert_array_equal(found, [[0, 0, 255, 255]])


@pytest.mark.parametrize(
    ("rgb", "found"),
    [
        (grey(0, 0, 0, 0), "levels 0: all background"),
        (grey(0, 10, 20, 30), "levels 0, 10, 20, 30: all background"),
        (np.array([[(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 255, 0)]], np.uint8), r"colours .*255, 0"),
    ],
)
def test_what_means_nothing_is_refused_with_what_was_found(rgb, found):
    with pytest.raises(InputError, match=rf"trimap: {found}.*expected grey: 0 background, 128 unknown, 255"):
        trimap_levels(rgb, None)
