import sys

import cv2
import numpy as np
import pytest

from jointmat.errors import DependencyError, InputError
from jointmat.foreground import estimate_foreground


def scene():
    """A red-haired disk with a soft edge over green, and what it is made of."""
    y, x = np.mgrid[:160, :160] - 80.0
    alpha = np.clip((50 - np.hypot(x, y)) / 24 + 0.5, 0, 1).astype(np.float32)
    rng = np.random.default_rng(0)
    texture = cv2.resize(rng.uniform(-30, 30, (8, 8, 1)), (160, 160))[..., None]
    foreground = np.clip(np.array([190, 60, 40]) + texture, 0, 255)
    background = np.clip(np.array([40, 170, 70]) + texture[::-1], 0, 255)
    image = alpha[..., None] * foreground + (1 - alpha[..., None]) * background
    return np.rint(image).astype(np.uint8), alpha, foreground


def recomposite_error(colour, alpha, foreground):
    """Mean error of a composite on blue where the subject is translucent, in 8-bit levels."""
    soft = (alpha > 0.02) & (alpha < 0.98)
    return (alpha[..., None] * np.abs(colour - foreground))[soft].mean()


def test_the_fringe_of_the_old_background_goes():
    image, alpha, foreground = scene()
    estimated = estimate_foreground(image, alpha)
    before = recomposite_error(image.astype(float), alpha, foreground)
    after = recomposite_error(estimated.astype(float), alpha, foreground)
    assert after < 0.33 * before


def test_opaque_pixels_keep_their_colour():
    image, alpha, _ = scene()
    inside = alpha == 1
    difference = estimate_foreground(image, alpha)[inside].astype(int) - image[inside]
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2), (50, 40)])
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_any_size_and_a_constant_alpha_give_an_image(size, level):
    image = np.full((*size, 3), 90, np.uint8)
    found = estimate_foreground(image, np.full(size, level, np.float32))
    assert found.shape == image.shape and found.dtype == np.uint8
    np.testing.assert_allclose(found, 90, atol=1)


def test_the_removed_background_does_not_hide_under_transparency():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (120, 400, 3), np.uint8)
    alpha = np.zeros((120, 400), np.float32)
    alpha[:, :60] = 1
    image[:, :60] = 90
    hidden = estimate_foreground(image, alpha)[:, 120:].astype(int)
    assert np.abs(hidden - 90).max() <= 1  # the foreground's mean, and nothing of the noise


def test_inputs_are_left_alone():
    image, alpha, _ = scene()
    kept = image.copy(), alpha.copy()
    estimate_foreground(image, alpha)
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(alpha, kept[1])


def test_pymatting_removes_more_of_the_fringe():
    pytest.importorskip("pymatting")
    image, alpha, foreground = scene()
    fast, multi_level = (
        recomposite_error(estimate_foreground(image, alpha, method).astype(float), alpha, foreground)
        for method in ("fast", "ml")
    )
    assert multi_level < 0.6 * fast


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1)])
def test_pymatting_takes_images_of_one_pixel(size):
    pytest.importorskip("pymatting")
    image = np.full((*size, 3), 90, np.uint8)
    found = estimate_foreground(image, np.ones(size, np.float32), "ml")
    assert found.shape == image.shape
    np.testing.assert_allclose(found, 90, atol=1)


def test_a_method_that_is_not_there_is_one_line(monkeypatch):
    image, alpha, _ = scene()
    with pytest.raises(InputError, match="method='slow': expected fast or ml"):
        estimate_foreground(image, alpha, "slow")
    monkeypatch.setitem(sys.modules, "pymatting", None)
    with pytest.raises(DependencyError, match=r"pip install .*\[foreground\]'"):
        estimate_foreground(image, alpha, "ml")
