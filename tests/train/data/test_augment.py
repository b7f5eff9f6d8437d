"""What a photo may go through: it stays an image, and everything that can happen does."""

import numpy as np
import pytest

from train.data import augment


@pytest.fixture
def image():
    rows, columns = np.mgrid[0:1:24j, 0:1:32j].astype(np.float32)
    return np.dstack([rows, columns, 1 - rows])


def test_jitter_of_no_strength_changes_nothing(rng, image):
    np.testing.assert_allclose(augment.jitter_colour(rng, image, 0.0), image, atol=1e-3)


@pytest.mark.parametrize("change", [augment.jitter_colour, augment.degrade])
def test_an_image_comes_out_and_depends_on_the_generator_alone(change, image):
    results = []
    for seed in range(40):
        first, again = (change(np.random.default_rng(seed), image.copy()) for _ in range(2))
        assert first.dtype == np.float32 and first.shape == image.shape
        assert first.min() >= 0 and first.max() <= 1
        np.testing.assert_array_equal(first, again)
        results.append(first)
    assert len({result.tobytes() for result in results}) > 20


def test_some_photos_are_grey_some_rough_some_smooth_and_many_as_they_were(image):
    grain = np.random.default_rng(0).normal(0, 0.05, image.shape).astype(np.float32)
    image = np.clip(image + grain, 0, 1)
    results = [augment.degrade(np.random.default_rng(seed), image) for seed in range(300)]
    grey = [np.ptp(result, axis=2).max() < 1e-6 for result in results]
    detail = np.array([np.abs(np.diff(result, axis=1)).mean() for result in results])
    before = np.abs(np.diff(image, axis=1)).mean()
    same = [np.array_equal(result, image) for result in results]
    assert 0.02 < np.mean(grey) < 0.15
    assert (detail < 0.7 * before).mean() > 0.05 and (detail > 1.1 * before).mean() > 0.02
    assert 0.15 < np.mean(same) < 0.6


def test_jpeg_of_low_quality_is_further_from_the_photo(image):
    errors = [np.abs(augment._jpeg(image, quality) - image).mean() for quality in (95, 60, 20)]
    assert errors == sorted(errors) and errors[0] < 0.01


def test_a_wall_is_smooth_and_of_any_colour():
    walls = [augment.plain_background(np.random.default_rng(seed), (48, 32)) for seed in range(60)]
    assert all(wall.shape == (48, 32, 3) and wall.dtype == np.float32 for wall in walls)
    assert all(wall.min() >= 0 and wall.max() <= 1 for wall in walls)
    assert np.median([np.abs(np.diff(wall, axis=0)).mean() for wall in walls]) < 0.05
    means = np.array([wall.mean() for wall in walls])
    assert means.min() < 0.3 and means.max() > 0.7
