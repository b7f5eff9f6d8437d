import cv2
import numpy as np
import pytest

from train.data.compose import Layer, blob, composite, over, random_window, soft_pixel, window
from train.data.decoded import pyramid


def layers(rng, count):
    return [Layer(rng.random((5, 7, 3), np.float32), rng.random((5, 7), np.float32)) for _ in range(count)]


def test_two_layers_over_a_background_are_one_layer_over_it(rng):
    front, back = layers(rng, 2)
    background = rng.random((5, 7, 3), np.float32)
    step_by_step = composite(front, composite(back, background))
    np.testing.assert_allclose(composite(over(front, back), background), step_by_step, atol=1e-6)


def test_over_is_not_the_product_of_transparencies_with_one_colour(rng):
    front, back = layers(rng, 2)
    both = over(front, back)
    np.testing.assert_allclose(both.alpha, 1 - (1 - front.alpha) * (1 - back.alpha), atol=1e-6)
    naive = front.colour * front.alpha[..., None] + back.colour * (1 - front.alpha[..., None])
    assert np.abs(both.colour - naive).max() > 0.05  # differs where both are translucent


def test_an_opaque_front_hides_what_is_behind(rng):
    front, back = layers(rng, 2)
    front = Layer(front.colour, np.ones_like(front.alpha))
    np.testing.assert_allclose(over(front, back).colour, front.colour, atol=1e-6)


def test_identity_matrix_leaves_the_image(rng):
    image = rng.integers(0, 255, (9, 11, 3), np.uint8)
    np.testing.assert_array_equal(window([image], np.eye(2, 3), (9, 11)), image)


def test_strong_reduction_averages_instead_of_skipping():
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 200
    levels = pyramid(stripes)
    assert len(levels) > 2
    small = window(levels, np.array([[1 / 8, 0, 0], [0, 1 / 8, 0]]), (32, 32))
    np.testing.assert_allclose(small, 100, atol=1)


@pytest.mark.parametrize("scale", [1.5, 1.0, 0.7, 0.5, 0.3, 0.25, 0.1])
def test_what_is_seen_does_not_depend_on_the_level(scale):
    """A ramp along x and y: its value tells the place, to a fraction of a pixel."""
    y, x = np.mgrid[:303, :401]
    levels = pyramid((x / 401 * 120 + y / 303 * 120).astype(np.uint8))
    angle = 0.3
    linear = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = np.hstack([linear, (np.array([16, 12]) - linear @ [200, 150])[:, None]])
    seen = window(levels, matrix, (24, 32)).astype(float)
    inverse = cv2.invertAffineTransform(matrix)
    at = inverse[:, :2] @ np.mgrid[:24, :32][::-1].reshape(2, -1) + inverse[:, 2:]
    inside = (at[0] > 4) & (at[0] < 396) & (at[1] > 4) & (at[1] < 298)
    expected = at[0] / 401 * 120 + at[1] / 303 * 120
    assert inside.sum() > 100
    assert np.abs(seen.ravel() - expected)[inside].max() < 1.6  # rounding of the ramp, the levels and the window


def test_a_window_beyond_the_image_repeats_its_edge():
    image = np.full((40, 50), 7, np.uint8)
    assert (window([image], np.array([[1.0, 0, 500], [0, 1, 300]]), (8, 8)) == 7).all()


@pytest.mark.parametrize("seed", range(20))
def test_window_stays_inside_of_the_sides_it_must_keep(seed):
    rng = np.random.default_rng(seed)
    matrix = random_window(rng, (80, 60), (32, 32), (0.5, 1.8), 0.0, (True, True, True, True))
    corners = np.array([[0, 0, 1], [32, 0, 1], [0, 32, 1], [32, 32, 1]], float).T
    x, y = cv2.invertAffineTransform(matrix) @ corners
    assert x.min() > -1e-6 and x.max() < 60 + 1e-6 and y.min() > -1e-6 and y.max() < 80 + 1e-6


def test_window_may_look_past_a_free_side():
    tops = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        matrix = random_window(rng, (80, 60), (32, 32), (0.5, 1.8), 0.0, (False, False, False, True))
        (_, *_), (*_, y) = cv2.invertAffineTransform(matrix)
        tops.append(y)
    assert min(tops) < -5  # above the subject, where nothing is cut off


def test_a_window_around_a_point_shows_it_in_its_middle(rng):
    matrix = random_window(rng, (80, 60), (32, 32), (0.3, 0.4), 0.0, around=(30.0, 50.0))
    np.testing.assert_allclose(matrix @ [30.0, 50.0, 1.0], [16.0, 16.0], atol=1e-6)


def test_a_soft_pixel_is_found_at_half_size(rng):
    alpha = np.zeros((100, 120), np.uint8)
    assert soft_pixel(rng, pyramid(alpha)) is None
    alpha[40:42, 70:72], alpha[50:60, 70:80] = 128, 255
    assert len(pyramid(alpha)) == 2
    assert soft_pixel(rng, pyramid(alpha)) == (70.0, 40.0)
    assert soft_pixel(rng, [alpha]) in {(float(x), float(y)) for x in (70, 71) for y in (40, 41)}


def test_a_blob_is_solid_with_an_antialiased_edge(rng):
    covers = [blob(rng, (64, 48), (0.3, 0.4)) for _ in range(5)]
    assert all(cover.shape == (64, 48) and cover.max() == 1 for cover in covers)
    assert any(((cover > 0) & (cover < 1)).any() for cover in covers)
