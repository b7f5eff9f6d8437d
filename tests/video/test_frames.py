"""Frames that follow each other: where the network looks, and composites of frames as video stores them."""

import cv2
import numpy as np
import pytest

av = pytest.importorskip("av")
pytest.importorskip("onnx")

from jointmat.assets import PORTRAIT
from jointmat.backgrounds import draw
from jointmat.compositing import scaled
from jointmat.io.video import Yuv
from jointmat.metrics import iou
from jointmat.predictor import Predictor
from jointmat.video.frames import FrameMatter
from tests.fakes import brightness_model

SIZE = 360, 640


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    model = brightness_model(tmp_path_factory.mktemp("model") / "brightness.onnx")
    return Predictor(model, detail="fast", max_side=160, threads=1)


def frame(*boxes, size=SIZE):
    """Black, with white boxes (top, bottom, left, right)."""
    image = np.zeros((*size, 3), np.uint8)
    for top, bottom, left, right in boxes:
        image[top:bottom, left:right] = 255
    return image


def looked_at(matter, images):
    """The mattes, and for each of them the sizes of the parts of the frame that the network saw."""
    seen, look = [], matter._look

    def noted(image, window):
        seen.append(window.geometry.original)
        return look(image, window)

    matter._look = noted
    found = []
    for image in images:
        seen.clear()
        found.append((matter(image).alpha, list(seen)))
    return [alpha for alpha, _ in found], [parts for _, parts in found]


def truth(image):
    return image[..., 0].astype(np.float32) / 255


def test_the_network_sees_a_small_subject_in_a_window_that_moves_along(predictor):
    images = [frame((100, 140, 100 + 6 * i, 130 + 6 * i)) for i in range(20)]
    alphas, parts = looked_at(FrameMatter(predictor, smooth=False), images)
    assert parts[0][0] == SIZE and len(parts[0]) == 2  # searched, then looked at
    assert all(len(seen) == 1 and max(seen[0]) < 120 for seen in parts[1:])
    for alpha, image in zip(alphas, images, strict=True):
        assert alpha.shape == SIZE and iou(alpha, truth(image)) > 0.95


def test_a_subject_that_leaves_the_window_at_once_is_found_again_in_the_same_frame(predictor):
    images = [frame((100, 140, 100, 130)), frame((250, 290, 500, 530))]
    alphas, _ = looked_at(FrameMatter(predictor, smooth=False), images)
    assert iou(alphas[1], truth(images[1])) > 0.95
    half_out = [images[0], frame((60, 280, 100, 130))]
    alphas, _ = looked_at(FrameMatter(predictor, smooth=False), half_out)
    assert iou(alphas[1], truth(half_out[1])) > 0.95


def test_somebody_who_comes_in_is_found_by_the_next_search(predictor):
    one, other = (100, 140, 100, 130), (250, 300, 500, 540)
    images = [frame(one)] * 3 + [frame(one, other)] * 40
    alphas, _ = looked_at(FrameMatter(predictor), images)
    assert iou(alphas[-1], truth(images[-1])) > 0.9


def test_who_was_chosen_is_followed_from_window_to_window(predictor):
    """The other one is larger from the second frame on."""
    images = [
        frame((100, 150, 100, 140), (200, 240 + 10 * i, 400, 430 + 10 * i)) if i else frame((100, 150, 100, 140))
        for i in range(4)
    ]
    for subject in ("largest", (120, 120)):
        alphas, _ = looked_at(FrameMatter(predictor, subject=subject, smooth=False), images)
        for alpha in alphas:
            assert alpha[125, 120] > 0.9 and alpha[:, 380:].max() == 0


def test_nobody_is_no_error_and_costs_no_search_in_every_frame(predictor):
    alphas, parts = looked_at(FrameMatter(predictor), [frame()] * 5)
    assert max(alpha.max() for alpha in alphas) == 0
    assert [len(seen) for seen in parts] == [3, 1, 1, 1, 1]


def test_the_same_frames_give_the_same_mattes(predictor, rng):
    images = [
        frame((100 + i, 140 + 2 * i, 100 + 9 * i, 140 + 9 * i)) // 2 + rng.integers(0, 9, 1) for i in range(8)
    ]
    images = [image.astype(np.uint8) for image in images]
    first, again = (looked_at(FrameMatter(predictor), images)[0] for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_planes_are_those_of_the_frame(predictor):
    matte = FrameMatter(predictor)(frame((100, 140, 100, 130)))
    for plane in (matte.alpha, matte.trimap, matte.mask):
        assert plane.shape == SIZE and plane[300, 500] == 0


def test_a_person_an_eighth_of_the_frame_high():
    """With the bundled weights, which do not find her in one look at the whole frame."""
    matte = Predictor(threads=1).matte(PORTRAIT)
    height = 720 // 8
    colours, alpha = scaled(matte.foreground(), (height, height)), scaled(matte.alpha, (height, height))
    expected = np.zeros((720, 1280), np.float32)
    expected[-height:, 426 : 426 + height] = np.clip(alpha, 0, 1)
    image = draw("sunset", 720, 1280)
    front = np.zeros_like(image)
    front[-height:, 426 : 426 + height] = colours
    weight = expected[..., None]
    image = np.rint(weight * front + (1 - weight) * image).astype(np.uint8)
    predictor = Predictor(detail="fast", max_side=320, threads=1)
    found = iou(FrameMatter(predictor)(image).alpha, expected)
    assert found > 0.85 and found > iou(predictor.predict(image), expected)


@pytest.mark.parametrize("background", ["blur", "image", "colour"])
def test_composites_of_stored_frames_are_those_of_rgb(predictor, rng, background):
    size = 96, 128
    noise = cv2.GaussianBlur(rng.normal(60, 300, (*size, 3)), (0, 0), 6)
    image = np.clip(cv2.GaussianBlur(frame((20, 80, 30, 90), size=size), (0, 0), 4) * 0.7 + noise, 0, 255)
    stored = Yuv.from_image(image.astype(np.uint8))
    rgb = stored.rgb()
    behind = {"blur": "blur", "colour": (30, 144, 255), "image": draw("aurora", *size)}[background]
    plain = np.full((*size, 3), behind, np.uint8) if background == "colour" else behind
    expected = Yuv.from_image(FrameMatter(predictor)(rgb).composite(behind))
    matte = FrameMatter(predictor)(stored)
    found = matte.composite(plain if background == "blur" else Yuv.from_image(plain))
    assert matte.alpha.min() < 0.3 and matte.alpha.max() > 0.6
    for one, other in zip(found.planes, expected.planes, strict=True):
        difference = np.abs(one.astype(int) - other)
        assert difference.mean() < 1.2 and np.percentile(difference, 99) <= 3


def test_a_stored_frame_beside_the_subject_is_the_background_and_inside_the_frame(predictor):
    image = frame((100, 140, 100, 130))
    stored, behind = Yuv.from_image(image), Yuv.from_image(draw("aurora", *SIZE))
    found = FrameMatter(predictor)(stored).composite(behind)
    np.testing.assert_array_equal(found.planes[0][:, 200:], behind.planes[0][:, 200:])
    np.testing.assert_array_equal(found.planes[0][110:130, 108:122], stored.planes[0][110:130, 108:122])
