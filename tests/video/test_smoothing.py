import cv2
import numpy as np
import pytest

from jointmat.video.smoothing import Smoother

SIZE = 96, 128


def frame(column, rng=None):
    """A textured disk at a place: its image (3, h, w) and alpha (h, w)."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    alpha = np.clip((24 - np.hypot(x - column, y - 48)) / 4 + 0.5, 0, 1)
    behind = 0.5 + 0.3 * np.sin(x / 5) * np.cos(y / 7)
    front = 0.5 + 0.3 * np.sin((x - column) / 3 + y / 4)
    image = np.stack([alpha * front + (1 - alpha) * behind, alpha, 0.5 * behind])
    if rng is not None:
        image = np.clip(image + rng.normal(0, 0.01, image.shape), 0, 1)
    return image.astype(np.float32), alpha.astype(np.float32)


def run(columns, rng):
    """(truth, noisy, filtered) for every frame; the noise is of the soft edge."""
    smoother, rows = Smoother(), []
    for column in columns:
        image, truth = frame(column, rng)
        noise = cv2.GaussianBlur(rng.normal(0, 1, SIZE), (0, 0), 2) * 4 * truth * (1 - truth)
        noisy = np.clip(truth + noise, 0, 1).astype(np.float32)
        rows.append((truth, noisy, smoother(noisy, image)))
    return [np.stack(planes) for planes in zip(*rows, strict=True)]


@pytest.mark.parametrize("speed", [0, 1.5, 4])
def test_flicker_goes_and_edges_stay_where_they_are(rng, speed):
    truth, noisy, filtered = run(40 + speed * np.arange(10), rng)
    flicker = np.abs(np.diff(filtered - truth, axis=0)).mean() / np.abs(np.diff(noisy - truth, axis=0)).mean()
    error = np.abs(filtered - truth).mean() / np.abs(noisy - truth).mean()
    assert flicker < 0.8 and error < 0.95


def test_what_appears_at_once_is_not_smeared(rng):
    """After a cut, and where the disk has jumped away."""
    smoother = Smoother()
    smoother(frame(30)[1], frame(30)[0])
    image, truth = frame(95)
    assert np.abs(smoother(truth, image) - truth).mean() < 0.01
    black = np.zeros_like(image)
    empty = np.zeros(SIZE, np.float32)
    assert smoother(empty, black).max() < 0.02


def test_a_still_image_keeps_a_steady_matte():
    smoother = Smoother()
    image, alpha = frame(60)
    for _ in range(4):
        found = smoother(alpha, image)
        np.testing.assert_allclose(found, alpha, atol=0.02)
        assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1


def test_what_is_remembered_moves_to_another_view(rng):
    """Half as large and elsewhere; where the new view shows more than the old one, its own answer stands."""
    image, truth = frame(60)
    place = np.array([[0.5, 0, 10.25], [0, 0.5, 5.25]])
    other = cv2.warpAffine(image.transpose(1, 2, 0), place, (80, 56), borderMode=cv2.BORDER_REPLICATE)
    other, expected = other.transpose(2, 0, 1), cv2.warpAffine(truth, place, (80, 56))
    wrong = np.clip(expected + 0.2, 0, 1)
    smoother = Smoother()
    for _ in range(3):
        smoother(truth, image)
    smoother.move(place, (56, 80))
    found = smoother(wrong, other)
    assert np.abs(found - expected)[10:50, 14:70].mean() < 0.4 * np.abs(wrong - expected)[10:50, 14:70].mean()
    np.testing.assert_allclose(found[:, :6], wrong[:, :6], atol=0.01)


@pytest.mark.parametrize("size", [(1, 1), (32, 4), (5, 64)])
def test_small_frames_and_a_change_of_size(size):
    smoother = Smoother()
    for shape in (size, size, (40, 40)):
        alpha = np.full(shape, 0.5, np.float32)
        np.testing.assert_allclose(smoother(alpha, np.full((3, *shape), 0.3, np.float32)), alpha, atol=1e-6)
