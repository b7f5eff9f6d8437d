import cv2
import numpy as np
import pytest

from jointmat.compositing import backdrop, blend, blend_fused
from jointmat.errors import InputError
from jointmat.foreground import estimate_foreground


def plain(level, size=(40, 60)):
    return np.full((*size, 3), level, np.uint8)


def test_a_photo_put_back_on_its_own_background_is_the_photo(rng):
    foreground, background = (rng.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(2))
    alpha = rng.uniform(0, 1, (20, 30)).astype(np.float32)
    expected = alpha[..., None] * foreground + (1 - alpha[..., None]) * background
    assert np.abs(blend(foreground, alpha, background) - expected).max() < 0.51


def test_linear_light_mixes_light():
    """Half of white's light on black is the level 188, not 128."""
    half = np.full((40, 60), 0.5, np.float32)
    assert (blend(plain(255), half, plain(0), "linear") == 188).all()
    assert (abs(blend(plain(255), half, plain(0)) - 127.5) == 0.5).all()


@pytest.mark.parametrize("light", ["srgb", "linear"])
def test_opaque_and_empty_pixels_are_copied(rng, light):
    foreground, background = (rng.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(2))
    alpha = (rng.uniform(0, 1, (20, 30)) > 0.5).astype(np.float32)
    expected = np.where(alpha[..., None] > 0, foreground, background)
    kept = background.copy()
    np.testing.assert_array_equal(blend(foreground, alpha, background, light), expected)
    np.testing.assert_array_equal(background, kept)


def test_blur_is_of_the_background_alone():
    """No halo: the red subject does not bleed into what is behind it."""
    image, alpha = plain(100, (80, 120)), np.zeros((80, 120), np.float32)
    image[20:60, 40:80], alpha[20:60, 40:80] = (255, 0, 0), 1
    image[:, ::2] -= (image[:, ::2] == 100).astype(np.uint8) * 60
    blurred = backdrop("blur", image, alpha).astype(int)
    assert (np.ptp(blurred, axis=2) <= 2).all()  # still grey
    assert np.std(blurred[..., 0]) < 0.2 * np.std(image[:15, :, 0])  # and the stripes are gone


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (300, 2)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_blur_of_any_size_and_coverage(size, level):
    image = plain(90, size)
    blurred = backdrop("blur", image, np.full(size, level, np.float32))
    np.testing.assert_allclose(blurred, 90, atol=1)


def test_fit_shows_all_of_the_image_and_fill_its_middle():
    wide = np.zeros((10, 100, 3), np.uint8)
    wide[:, :5], wide[:, -5:] = (255, 0, 0), (0, 0, 255)
    image, alpha = plain(0, (60, 60)), np.zeros((60, 60), np.float32)
    shown = backdrop(wide, image, alpha, "fit")
    assert shown.shape == (60, 60, 3)
    assert shown[30, 0, 0] > 200 and shown[30, 59, 2] > 200
    assert backdrop(wide, image, alpha, "fill").max() == 0


def test_what_is_above_and_below_a_fitted_image_is_its_own_blur():
    grey = plain(120, (10, 100))
    assert (backdrop(grey, plain(0, (60, 60)), np.zeros((60, 60), np.float32), "fit") == 120).all()


def test_unknown_ways_are_refused():
    image, alpha = plain(0), np.zeros((40, 60), np.float32)
    with pytest.raises(InputError, match="fit='stretch': expected fill or fit"):
        backdrop("blur", image, alpha, "stretch")
    with pytest.raises(InputError, match="light='gamma': expected srgb or linear"):
        blend(image, alpha, image, "gamma")


@pytest.mark.parametrize("size", [(64, 96), (61, 45), (3, 5), (1, 1)])
@pytest.mark.parametrize("level", [0.0, 1.0, None])
def test_blending_with_the_foreground_in_one_step_is_the_same_as_in_two(size, level):
    rng = np.random.default_rng(0)
    image, behind = rng.integers(0, 256, (2, *size, 3)).astype(np.uint8)
    alpha = cv2.GaussianBlur(rng.random(size).astype(np.float32), (0, 0), 3) if level is None else None
    if alpha is None:
        alpha = np.full(size, level, np.float32)
    else:
        alpha = np.clip(8 * (alpha - 0.5) + 0.5, 0, 1)
        alpha[:, : size[1] // 4] = 0  # so that there is a box
    before = image.copy(), behind.copy(), alpha.copy()
    found = blend_fused(image, alpha, behind).astype(int)
    expected = blend(estimate_foreground(image, alpha), alpha, behind)
    assert np.abs(found - expected).max() <= 1
    assert all((now == then).all() for now, then in zip((image, behind, alpha), before, strict=True))
