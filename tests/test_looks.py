"""The second look: tiles of the band at native resolution, and small subjects by themselves."""

import cv2
import numpy as np
import pytest

from jointmat import looks
from jointmat.errors import InputError
from jointmat.looks import HALO, TILE, Look, enlarged, look_at_small_subjects, reduced, second_look
from jointmat.ops.morphology import fuse, given_over
from jointmat.predictor import Predictor
from jointmat.preprocess import plan, preprocess
from jointmat.runtime.base import RawOutput

STEP = TILE - 2 * HALO
SIZES = [(STEP, STEP), (STEP + 1, 2 * STEP - 1), (300, 500), (701, 90), (40, 1000)]


class Local:
    """A network that sees little: alpha is the brightness, averaged over a square of `reach` pixels a side.

    What it says of a pixel depends on the pixels around it alone, so that tiles must add up to one big pass.
    """

    name, device, engine, stride = "local", "cpu", "local", 32

    def __init__(self, reach=1, value=None):
        self.reach, self.value = reach, value
        self.calls = []

    def raw(self, image):
        """(B, 3, H, W) → (B, 1, H, W)"""
        if self.value is not None:
            return np.full_like(image[:, :1], self.value)
        kernel = (self.reach, self.reach)
        planes = [cv2.blur(x, kernel, borderType=cv2.BORDER_REPLICATE) for x in image.mean(axis=1)]
        return np.stack(planes)[:, None]

    def run(self, image, trimap=None, prior=None):
        assert image.dtype == np.float32 and image.flags.c_contiguous
        assert not image.shape[2] % self.stride and not image.shape[3] % self.stride
        self.calls.append(image.shape)
        raw = self.raw(image)
        unknown = (np.abs(raw - 0.5) < 0.4).astype(np.float32)
        planes = np.concatenate([(raw <= 0.1), unknown, (raw >= 0.9)], axis=1).astype(np.float32)
        if trimap is not None:
            assert trimap.dtype == np.float32 and (prior is None or prior.shape == raw.shape)
            planes = given_over(trimap, planes)
        return RawOutput(fuse(planes, raw), _quarter(planes), _quarter(raw))

    @property
    def images(self):
        return sum(shape[0] for shape in self.calls)


def _quarter(planes):
    b, c, h, w = planes.shape
    return planes.reshape(b, c, h // 4, 4, w // 4, 4).mean(axis=(3, 5))


def smooth(height, width, seed=0):
    """(H, W, 3) uint8"""
    coarse = np.random.default_rng(seed).integers(30, 220, (9, 9, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def look_of(unknown, alpha=0.0):
    """A first look that says `alpha` all over, unknown where (H, W) `unknown` is, background elsewhere."""
    unknown = unknown.astype(np.float32)
    planes = np.dstack([1 - unknown, unknown, np.zeros_like(unknown)])
    return Look(np.full_like(unknown, alpha), planes)


# --- Tiles


@pytest.mark.parametrize("size", SIZES)
def test_tiles_are_one_big_pass(size):
    image, backend = smooth(*size), Local()
    found = second_look(backend, image, look_of(np.ones(size)))
    assert found.shape == size and found.dtype == np.float32
    np.testing.assert_allclose(found, image.mean(axis=2) / 255, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_tiles_are_one_big_pass_where_a_pixel_depends_on_its_neighbours(size):
    image, backend = smooth(*size), Local(reach=7)
    found = second_look(backend, image, look_of(np.ones(size)))
    whole = backend.raw(image.transpose(2, 0, 1)[None].astype(np.float32) / 255)[0, 0]
    np.testing.assert_allclose(found, whole, atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_no_seam_between_tiles_and_at_the_edge(size):
    """Of what is 0.7 everywhere nothing else is made: the weights sum to 1."""
    found = second_look(Local(value=0.7), smooth(*size), look_of(np.ones(size)))
    np.testing.assert_allclose(found, 0.7, atol=1e-6)


def test_where_no_tile_lies_the_first_look_goes_on_without_a_step():
    unknown = np.zeros((600, 900))
    unknown[:, 440:480] = 1
    look = Look(np.full((600, 900), 0.25, np.float32), np.full((600, 900, 3), [0, 1, 0], np.float32))
    look.trimap[..., 1] = unknown
    found = second_look(Local(value=1.0), smooth(600, 900), look)
    assert found[300, 450] > 0.99 and (found[:, :100] == 0.25).all() and (found[:, -100:] == 0.25).all()
    steepest = 2 * 0.75 / HALO  # where the halos of two tiles cross
    assert np.abs(np.diff(found, axis=1)).max() < 1.1 * steepest


def test_known_pixels_stay_known(rng):
    size = (400, 500)
    kind = cv2.resize(rng.integers(0, 3, (10, 12)).astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    planes = np.dstack([kind == 0, kind == 1, kind == 2]).astype(np.float32)
    look = Look(planes[..., 2] + 0.5 * planes[..., 1], planes)
    found = second_look(Local(value=0.3), smooth(*size), look)
    np.testing.assert_allclose(found[kind == 0], 0, atol=1e-6)
    np.testing.assert_allclose(found[kind == 2], 1, atol=1e-6)
    np.testing.assert_allclose(found[kind == 1], 0.3, atol=1e-6)


def test_the_same_answer_twice():
    image, look = smooth(500, 700), look_of(np.ones((500, 700)), 0.4)
    before = look.alpha.copy()
    first, second = (second_look(Local(reach=5), image, look) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(look.alpha, before)


def test_without_a_band_there_is_nothing_to_do():
    backend, look = Local(), look_of(np.zeros((800, 900)), 0.6)
    assert np.array_equal(second_look(backend, smooth(800, 900), look), look.alpha)
    assert backend.calls == []


def test_work_grows_with_the_band_and_not_with_the_image():
    def tiles(height, width, length):
        unknown = np.zeros((height, width))
        unknown[:length, 10:40] = 1
        backend = Local()
        second_look(backend, smooth(height, width), look_of(unknown))
        return backend.images

    assert tiles(4 * STEP, 4 * STEP, STEP) == 1 == tiles(4 * STEP, 8 * STEP, STEP)
    assert [tiles(4 * STEP, 4 * STEP, n * STEP) for n in (2, 3, 4)] == [2, 3, 4]


def test_few_tiles_are_held_at_a_time():
    backend = Local()
    size = (3 * STEP, 3 * STEP)
    second_look(backend, smooth(*size), look_of(np.ones(size)))
    assert backend.images == 9
    assert {shape[1:] for shape in backend.calls} == {(3, TILE, TILE)}
    assert max(shape[0] for shape in backend.calls) <= looks._BATCH


def test_the_network_gets_the_trimap_and_the_first_alpha_in_place():
    size = (2 * STEP, 2 * STEP)
    given = []

    class Watched(Local):
        def run(self, image, trimap=None, prior=None):
            given.extend(zip(image, trimap, prior, strict=True))
            return super().run(image, trimap, prior)

    image = smooth(*size)
    planes = np.full((*size, 3), 1 / 3, np.float32)
    planes[..., 0], planes[..., 2] = image[..., 0] / 765, (255 - image[..., 0]) / 765
    second_look(Watched(), image, Look(image[..., 1] / np.float32(255), planes))
    assert len(given) == 4
    for seen, trimap, prior in given:  # each made of the image, so that they must match at every pixel
        np.testing.assert_allclose(trimap[0], seen[0] / 3, atol=1e-6)
        np.testing.assert_allclose(prior[0], seen[1], atol=1e-6)


# --- Small subjects


def scene(boxes, size=(600, 900)):
    """(image, mask at a quarter): white boxes (top, left, height, width) on black."""
    image = np.zeros((*size, 3), np.uint8)
    for top, left, height, width in boxes:
        image[top : top + height, left : left + width] = 255
    mask = cv2.resize(image[..., 0], (size[1] // 4, size[0] // 4), interpolation=cv2.INTER_AREA)
    return image, mask / np.float32(255)


def test_a_small_subject_gets_an_overview_of_its_own():
    image, mask = scene([(200, 400, 120, 80)])
    backend, look = Local(), look_of(np.zeros((600, 900)))
    look_at_small_subjects(backend, image, look, mask, 256)
    [shape] = backend.calls
    assert max(shape[2:]) == 256  # of the box, though it is smaller
    inside = (slice(205, 315), slice(405, 475))
    np.testing.assert_allclose(look.alpha[inside], 1, atol=0.02)
    np.testing.assert_allclose(look.trimap[inside][..., 2], 1, atol=0.02)
    assert not look.alpha[:100].any() and not look.alpha[:, :300].any()


@pytest.mark.parametrize(
    "boxes",
    [
        [],
        [(100, 100, 420, 300)],  # large
        [(100, 100, 420, 300), (20, 800, 24, 24)],  # and a crumb
    ],
)
def test_others_do_not(boxes):
    image, mask = scene(boxes)
    backend, look = Local(), look_of(np.zeros((600, 900)), 0.5)
    look_at_small_subjects(backend, image, look, mask, 256)
    assert backend.calls == [] and (look.alpha == 0.5).all()


def test_each_small_subject_is_looked_at_and_those_at_the_edge_too():
    image, mask = scene([(0, 0, 100, 80), (480, 820, 120, 80), (250, 400, 100, 80)])
    backend, look = Local(), look_of(np.zeros((600, 900)))
    look_at_small_subjects(backend, image, look, mask, 128)
    assert len(backend.calls) == 3
    for subject in (
        (slice(0, 95), slice(0, 75)),
        (slice(485, None), slice(825, None)),
        (slice(260, 340), slice(410, 470)),
    ):
        assert look.alpha[subject].min() > 0.95  # up to the edge of the image


# --- Sizes


def test_a_look_has_the_size_of_the_image_whether_it_was_reduced_or_enlarged():
    for size in ((40, 30), (128, 96), (300, 200)):
        image, backend = smooth(*size), Local()
        geometry = plan(size, 128, 32)
        seen = preprocess(image, geometry)
        look = enlarged(backend.run(seen), seen, geometry, image)
        assert look.alpha.shape == size and look.trimap.shape == (*size, 3)
        assert look.alpha.dtype == look.trimap.dtype == np.float32
        assert np.abs(look.alpha - image.mean(axis=2) / 255).mean() < 0.03


def test_reduced_bounds_the_long_side_and_leaves_small_images():
    image = smooth(100, 300)
    assert reduced(image, 300) is image
    assert reduced(image, 150).shape == (50, 150, 3)
    assert reduced(np.zeros((1, 5000, 3), np.uint8), 100).shape == (1, 100, 3)


# --- In the predictor


@pytest.mark.parametrize("size", [(512, 400), (300, 200), (600, 512)])
def test_an_image_that_is_hardly_larger_than_the_overview_is_seen_once(size):
    backend = Local()
    alpha = Predictor(backend).predict(smooth(*size))
    assert alpha.shape == size and len(backend.calls) == 1


def test_fine_looks_twice_and_fast_does_not():
    image = smooth(900, 700)
    calls = {}
    for detail in ("fine", "fast"):
        backend = Local()
        alpha = Predictor(backend, detail=detail).predict(image)
        assert alpha.shape == (900, 700) and alpha.min() >= 0 and alpha.max() <= 1
        calls[detail] = len(backend.calls)
    assert calls["fast"] == 1 < calls["fine"]


def test_the_second_look_sees_what_the_overview_cannot():
    """Lines of one pixel: grey in the overview, apart at native resolution."""
    image = np.full((1100, 1100, 3), 60, np.uint8)
    image[:, ::2] = 180
    coarse, fine = (Predictor(Local(), detail=detail).predict(image) for detail in ("fast", "fine"))
    truth = image[..., 0] / 255
    error = [np.abs(alpha - truth)[100:-100, 100:-100].mean() for alpha in (coarse, fine)]
    assert error[1] < 0.01 < error[0] / 5


def test_very_large_images_are_reduced_for_the_second_look():
    backend = Local()
    alpha = Predictor(backend, max_side=700).predict(smooth(1500, 1000))
    assert alpha.shape == (1500, 1000)
    assert backend.images - 1 <= -(-700 // STEP) * -(-467 // STEP)


def test_a_given_trimap_holds_in_the_second_look():
    image, trimap = smooth(900, 800), np.full((900, 800), 128, np.uint8)
    trimap[:, :200], trimap[:, 600:] = 0, 255
    alpha = Predictor(Local()).predict(image, trimap=trimap)
    assert (alpha[trimap == 0] == 0).all() and (alpha[trimap == 255] == 1).all()
    middle = alpha[100:-100, 230:570]
    np.testing.assert_allclose(middle, image.mean(axis=2)[100:-100, 230:570] / 255, atol=0.01)


@pytest.mark.parametrize("reduction", [1, 4])
def test_small_subjects_are_found_in_a_mask_of_any_size(reduction):
    image, _ = scene([(420, 700, 90, 60)])

    class Sized(Local):
        def run(self, image, trimap=None, prior=None):
            output = super().run(image, trimap, prior)
            return output._replace(mask=self.raw(image)) if reduction == 1 else output

    backend = Sized()
    Predictor(backend, max_side=512).predict(image)
    assert len(backend.calls) == 2


def test_an_unknown_detail():
    with pytest.raises(InputError, match="detail='best': expected fine or fast"):
        Predictor(Local(), detail="best")
