import tracemalloc

import cv2
import numpy as np
import pytest

from jointmat.metrics import sad
from jointmat.ops.guided_upsampling import upsample_guided


def shrunk(plane, size):
    return cv2.resize(plane, size[::-1], interpolation=cv2.INTER_AREA)


def upsampled(truth, photo, size):
    """The matte that a network would give that is right at `size`, at the photo's size again."""
    small = shrunk(photo, size).transpose(2, 0, 1).astype(np.float32) / 255
    return upsample_guided(shrunk(truth, size), small, [photo])


def linear(truth, size):
    return cv2.resize(shrunk(truth, size), truth.shape[::-1], interpolation=cv2.INTER_LINEAR)


def step(size, at):
    """1 from column `at` on, which may lie between two columns."""
    columns = np.clip(np.arange(size[1]) + 1 - at, 0, 1)
    return np.broadcast_to(columns, size).astype(np.float32).copy()


def strands(size, count, seed=3):
    """Thin straight strands with exact coverage."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((size[0] * 4, size[1] * 4), np.uint8)
    for _ in range(count):
        ends = (rng.random((2, 2)) * canvas.shape[::-1]).astype(int)
        cv2.line(canvas, ends[0].tolist(), ends[1].tolist(), 255, 6)
    return shrunk(canvas, size).astype(np.float32) / 255


def photo_of(alpha, noise=0):
    """A dark subject on a bright coloured background."""
    colours = np.array([40, 30, 25]) * alpha[..., None] + np.array([200, 220, 180]) * (1 - alpha[..., None])
    colours += np.random.default_rng(0).normal(0, noise, colours.shape)
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(64, 64), (63, 51), (300, 200)])
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_matte_stays_constant_whatever_the_photo(rng, size, level):
    photo = rng.integers(0, 256, (*size, 3), np.uint8)
    alpha = upsampled(np.full(size, level, np.float32), photo, (48, 40))
    np.testing.assert_allclose(alpha, level, atol=1e-6)


@pytest.mark.parametrize("factor", [1.5, 2, 3.75, 8])
@pytest.mark.parametrize("turned", [False, True])
def test_an_edge_stays_within_half_a_small_pixel_of_its_place(factor, turned):
    size = (round(40 * factor), round(64 * factor))
    for at in (0.41 * size[1], 0.5 * size[1] + 0.3):
        truth = step(size, at)
        truth = np.ascontiguousarray(truth.T) if turned else truth
        small = (64, 40) if turned else (40, 64)
        alpha = upsampled(truth, photo_of(truth), small)
        rows = alpha.T if turned else alpha
        places = size[1] - rows.sum(axis=1)  # of the edge, row by row
        assert np.abs(places - at).max() < factor / 2
        assert np.abs(places - at).max() < 0.2  # pixels of the photo, as it is seen there


def test_the_photo_tells_where_the_edge_is_between_small_pixels():
    truth = step((320, 512), 201.6)
    alpha = upsampled(truth, photo_of(truth), (40, 64))
    assert sad(alpha, truth) < 0.25 * sad(linear(truth, (40, 64)), truth)


@pytest.mark.parametrize("noise", [0, 6])
def test_strands_finer_than_a_small_pixel_come_back(noise):
    truth = strands((384, 512), 25)
    alpha = upsampled(truth, photo_of(truth, noise), (96, 128))
    assert sad(alpha, truth) < 0.6 * sad(linear(truth, (96, 128)), truth)


def test_what_the_photo_does_not_show_is_no_worse_than_bilinear(rng):
    """A background of noise that has nothing to do with the subject."""
    truth = cv2.GaussianBlur(step((300, 400), 180.0), (0, 0), 8)
    photo = rng.integers(0, 256, (300, 400, 3), np.uint8)
    assert sad(upsampled(truth, photo, (75, 100)), truth) < sad(linear(truth, (75, 100)), truth) + 0.5


def test_far_from_soft_pixels_it_is_bilinear_interpolation(rng):
    truth = step((300, 400), 200)
    truth[:, :100] = 0.01  # sure enough: no texture of the background may print through
    photo = rng.integers(0, 256, (300, 400, 3), np.uint8)
    away = np.r_[0:160, 240:400]
    alpha, expected = upsampled(truth, photo, (75, 100)), linear(truth, (75, 100))
    np.testing.assert_allclose(alpha[:, away], expected[:, away], atol=1e-3)


def test_bands_leave_no_seams(rng, monkeypatch):
    photo = cv2.resize(rng.integers(0, 256, (30, 40, 3), np.uint8), (403, 301), interpolation=cv2.INTER_CUBIC)
    truth = cv2.GaussianBlur(rng.random((301, 403), np.float32), (0, 0), 9) * 5 - 2
    whole = np.clip(truth, 0, 1)
    expected = upsampled(whole, photo, (75, 100))
    monkeypatch.setattr("jointmat.ops.guided_upsampling._BAND", 37 * 403)
    np.testing.assert_allclose(upsampled(whole, photo, (75, 100)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((1, 1), (1, 1)),
        ((1, 2), (1, 2)),
        ((3, 5), (3, 5)),
        ((31, 33), (31, 33)),
        ((1, 5000), (1, 512)),
        ((5000, 1), (512, 1)),
        ((20000, 50), (512, 1)),
        ((700, 500), (512, 366)),
    ],
)
def test_every_size_gives_values_of_zero_to_one(rng, size, small):
    photo = rng.integers(0, 256, (*size, 3), np.uint8)
    guide = shrunk(photo, small).reshape(*small, 3).transpose(2, 0, 1).astype(np.float32) / 255
    alpha = upsample_guided(rng.random(small, np.float32), guide, [photo])
    assert alpha.shape == size and alpha.dtype == np.float32
    assert np.isfinite(alpha).all() and alpha.min() >= 0 and alpha.max() <= 1


def test_nothing_that_is_given_is_changed(rng):
    photo, alpha = rng.integers(0, 256, (90, 80, 3), np.uint8), rng.random((45, 40), np.float32)
    guide = rng.random((3, 45, 40), np.float32)
    before = [x.copy() for x in (photo, alpha, guide)]
    upsample_guided(alpha, guide, [photo])
    for now, then in zip((alpha, guide, photo), (before[1], before[2], before[0]), strict=True):
        np.testing.assert_array_equal(now, then)


def test_memory_beyond_the_result_does_not_grow_with_the_photo(rng):
    alpha, guide = rng.random((64, 64), np.float32), rng.random((3, 64, 64), np.float32)
    extra = []
    for side in (512, 2048):
        photo = np.zeros((side, side, 3), np.uint8)
        tracemalloc.start()
        upsample_guided(alpha, guide, [photo])
        extra.append(tracemalloc.get_traced_memory()[1] - 4 * side * side)
        tracemalloc.stop()
    assert extra[1] < extra[0] + 1e6
