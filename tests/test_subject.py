import numpy as np
import pytest

from jointmat.errors import InputError, InputTypeError
from jointmat.predictor import Predictor
from jointmat.preprocess import plan
from jointmat.runtime.base import RawOutput
from jointmat.subject import SubjectChooser, parse_subject

SIZE = 96, 160


class Circles:
    """A backend that finds a disk in every place that the image is bright, with a soft edge."""

    name, device, stride = "circles", "cpu", 32

    def run(self, image, trimap=None):
        alpha = image.mean(axis=1, keepdims=True)
        height, width = alpha.shape[2] // 4, alpha.shape[3] // 4
        mask = alpha.reshape(len(alpha), 1, height, 4, width, 4).mean(axis=(3, 5))
        planes = np.concatenate([mask < 0.2, (mask >= 0.2) & (mask <= 0.8), mask > 0.8], axis=1)
        return RawOutput(alpha, planes.astype(np.float32), mask)


def scene(*disks, size=SIZE):
    """(H, W, 3) uint8 with white disks (x, y, radius); a negative radius is a hole."""
    y, x = np.mgrid[: size[0], : size[1]]
    alpha = np.zeros(size)
    for column, row, radius in disks:
        inside = np.clip((abs(radius) - np.hypot(x - column, y - row)) / 6 + 0.5, 0, 1)
        alpha = np.maximum(alpha, inside) if radius > 0 else np.minimum(alpha, 1 - inside)
    return np.repeat(np.rint(255 * alpha).astype(np.uint8)[..., None], 3, axis=2)


SMALL, LARGE = (30, 40, 14), (110, 50, 26)


@pytest.fixture
def predictor():
    return Predictor(Circles(), detail="fast", max_pixels=10**6)


@pytest.mark.parametrize(
    ("subject", "disks"),
    [
        ("all", [SMALL, LARGE]),
        ("largest", [LARGE]),
        ((32, 38), [SMALL]),
        ((110, 50), [LARGE]),
        ((2, 90), [SMALL]),  # beside both: the nearer one
    ],
)
def test_the_chosen_one_stays_whole_and_the_rest_goes(predictor, subject, disks):
    matte = predictor.matte(scene(SMALL, LARGE), subject=subject)
    alone = predictor.matte(scene(*disks))
    np.testing.assert_allclose(matte.alpha, alone.alpha, atol=0.02)
    np.testing.assert_allclose(matte.mask, alone.mask, atol=0.02)
    np.testing.assert_array_equal(matte.trimap, alone.trimap)


@pytest.mark.parametrize("scale", [0.5, 2, 3.7])
def test_a_point_is_of_the_photo_whatever_the_network_sees(scale):
    predictor = Predictor(Circles(), detail="fast", max_side=160, max_pixels=10**7)
    size = tuple(round(scale * side) for side in SIZE)
    disks = [tuple(scale * value for value in disk) for disk in (SMALL, LARGE)]
    alpha = predictor.predict(scene(*disks, size=size), subject=(round(scale * 30), round(scale * 40)))
    assert alpha[round(scale * 40), round(scale * 30)] > 0.95
    assert alpha[round(scale * 50), round(scale * 110)] == 0


@pytest.mark.parametrize("point", [(160, 10), (10, 96), (-1, 0)])
def test_a_point_outside_is_refused(predictor, point):
    with pytest.raises(InputError, match="outside the image, which is 160x96"):
        predictor.predict(scene(SMALL), subject=point)
    with pytest.raises(InputError, match="outside the image, which is 160x96"):
        predictor.predict(scene(), subject=point)  # nobody there


def test_the_largest_is_the_one_of_whom_the_photo_shows_most(predictor):
    """The network sees 98x100 as 128x128, and may go on in the padding with whoever is at the edge."""
    photo = scene((30, 49, 20), size=(98, 100))
    photo[30:70, 80:] = 255  # 800 pixels, and 1120 more of padding; the disk has 1257
    alpha = predictor.predict(photo, subject="largest")
    assert alpha[49, 30] == 1 and alpha[49, 90] == 0


def test_nobody_there_is_no_error(predictor):
    empty = np.zeros((*SIZE, 3), np.uint8)
    assert predictor.predict(empty, subject="largest", fill_holes=True).max() == 0
    assert predictor.predict(empty + 255, subject="largest", fill_holes=True).min() > 0.9999


def test_holes_are_filled_and_the_outline_is_left(predictor):
    disk, hole = (80, 48, 44), (80, 48, -9)
    matte, whole = predictor.matte(scene(disk, hole), fill_holes=True), predictor.matte(scene(disk))
    assert predictor.predict(scene(disk, hole))[48, 80] == 0
    np.testing.assert_allclose(matte.alpha, whole.alpha, atol=0.02)
    np.testing.assert_array_equal(matte.trimap, whole.trimap)


def test_a_gap_that_reaches_the_edge_is_no_hole(predictor):
    image = scene((80, 90, 40), (80, 92, -14))
    np.testing.assert_array_equal(predictor.predict(image, fill_holes=True), predictor.predict(image))


def test_a_batch_is_like_one_by_one(predictor):
    images = [scene(SMALL, LARGE), scene((50, 50, 20), (130, 40, 10)), scene(LARGE)]
    together = predictor.predict_batch(images, subject="largest")
    for image, alpha in zip(images, together, strict=True):
        np.testing.assert_array_equal(alpha, predictor.predict(image, subject="largest"))


def test_in_a_video_the_one_chosen_first_stays_chosen():
    """Even when it becomes the smaller one, is gone for a frame, and comes back nearby."""
    chooser = SubjectChooser("largest")
    geometry = plan(SIZE, 160, 32)

    def alpha(*disks):
        tensor = scene(*disks).transpose(2, 0, 1)[None].astype(np.float32) / 255
        return chooser(Circles().run(tensor), geometry).alpha[0, 0]

    assert alpha((40, 40, 22), (120, 50, 18))[40, 40] == 1
    shrunk = alpha((44, 42, 14), (118, 50, 25))
    assert shrunk[42, 44] == 1 and shrunk[50, 118] == 0
    back = alpha((60, 66, 10), (140, 50, 18))  # overlaps nothing
    assert back[66, 60] == 1 and back[50, 140] == 0


def test_a_given_trimap_says_itself_what_the_subject_is(predictor):
    trimap = np.full(SIZE, 128, np.uint8)
    for choice in ({"subject": "largest"}, {"fill_holes": True}):
        with pytest.raises(InputError, match="trimap= already defines the subject"):
            predictor.matte(scene(SMALL), trimap=trimap, **choice)


@pytest.mark.parametrize(("text", "subject"), [("all", "all"), ("largest", "largest"), ("12, 40", (12, 40))])
def test_parse(text, subject):
    assert parse_subject(text) == subject


@pytest.mark.parametrize("text", ["", "biggest", "3", "3,", "-1,4", "1.5,2", "1,2,3"])
def test_parse_refuses(text):
    with pytest.raises(InputError, match="expected all, largest or x,y"):
        parse_subject(text)


@pytest.mark.parametrize("subject", [("a", "b"), (None, 1)])
def test_a_point_is_of_numbers(predictor, subject):
    with pytest.raises(InputTypeError, match="expected two numbers"):
        predictor.predict(scene(SMALL), subject=subject)


@pytest.mark.parametrize("subject", ["biggest", (1, 2, 3), None, np.array([1, 2])])
def test_an_unknown_subject_is_refused(predictor, subject):
    with pytest.raises(InputError, match="expected all, largest or"):
        predictor.predict(scene(SMALL), subject=subject)
