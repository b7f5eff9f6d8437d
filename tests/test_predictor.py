import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import weakref
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import jointmat
from jointmat.errors import (
    DependencyError,
    DeviceError,
    ImageError,
    ImageTooLarge,
    InputError,
    InputTypeError,
    WeightsError,
)
from jointmat.memory import enough_memory
from jointmat.predictor import Predictor
from tests.conftest import HAS_TORCH

SOURCES = Path(jointmat.__file__).parent.parent
SHIPPED = SOURCES / "weights" / "lite.onnx"
PORTRAIT = Path(jointmat.__file__).parent / "assets" / "astronaut.jpg"


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(model, max_side=128)


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (70, 50, 3), np.uint8)


def forms(image, folder):
    """The same image in every form that is taken."""
    png = io.BytesIO()
    Image.fromarray(image).save(png, "png")
    path = folder / "image.png"
    path.write_bytes(png.getvalue())
    wide = image.astype(np.uint16) * 257
    return {
        "str": str(path),
        "Path": path,
        "bytes": png.getvalue(),
        "file": io.BytesIO(png.getvalue()),
        "PIL": Image.fromarray(image),
        "uint8": image,
        "uint16": wide,
        "float32": image.astype(np.float32) / 255,
        "RGBA": np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]),
        "negative stride": image[::-1][::-1],
        "not contiguous": np.asfortranarray(image),
    }


def test_every_form_of_an_image_gives_the_same_alpha(predictor, image, tmp_path):
    expected = predictor.predict(image)
    np.testing.assert_allclose(expected.mean(), image.mean() / 255, atol=0.01)
    for name, form in forms(image, tmp_path).items():
        np.testing.assert_allclose(predictor.predict(form), expected, atol=2e-3, err_msg=name)


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_a_tensor_gives_the_same_alpha_and_keeps_no_gradient(predictor, image):
    import torch

    tensor = torch.from_numpy(image).permute(2, 0, 1).float().div(255).requires_grad_()
    np.testing.assert_allclose(predictor.predict(tensor), predictor.predict(image), atol=2e-3)


def test_channel_order_is_swapped_on_request(model):
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 255
    image = Predictor(model).matte(red[..., ::-1], color="BGR").image
    np.testing.assert_array_equal(image, red)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2), (2, 1), (3, 5), (31, 31), (33, 65), (1, 5000), (5000, 1), (20000, 50)]
)
def test_alpha_has_the_size_of_the_image(predictor, size):
    alpha = predictor.predict(np.full((*size, 3), 100, np.uint8))
    assert alpha.shape == size and alpha.dtype == np.float32
    np.testing.assert_allclose(alpha, 100 / 255, atol=1e-4)


@pytest.mark.parametrize("level", [0, 127, 255])
def test_a_constant_image_gives_a_finite_alpha(predictor, level):
    matte = predictor.matte(np.full((40, 40, 3), level, np.uint8))
    for plane in (matte.alpha, matte.mask):
        assert np.isfinite(plane).all() and plane.min() >= 0 and plane.max() <= 1
    assert set(np.unique(matte.trimap)) <= {0, 128, 255}


def test_the_callers_array_is_left_alone(predictor, image):
    before = image.copy()
    image.setflags(write=False)
    matte = predictor.matte(image)
    matte.image[:] = 0
    np.testing.assert_array_equal(image, before)


def test_a_batch_is_the_same_as_one_by_one_and_in_order(predictor, rng):
    sizes = [(70, 50), (64, 64), (70, 50), (200, 300), (70, 50)] + [(64, 64)] * 9  # more than fit in one pass
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    together = predictor.predict_batch(images)
    for image, alpha in zip(images, together, strict=True):
        np.testing.assert_allclose(alpha, predictor.predict(image), atol=1e-6)


def test_trimap_and_mask_come_with_the_matte_through_pickling(predictor, image):
    matte = predictor.matte(image)
    again = pickle.loads(pickle.dumps(matte))  # before they were asked for
    assert matte.trimap.shape == matte.mask.shape == (70, 50)
    np.testing.assert_array_equal(again.trimap, matte.trimap)
    np.testing.assert_array_equal(again.mask, matte.mask)
    np.testing.assert_array_equal(matte.trimap == 255, matte.mask > 0.5)  # by the fake network's definition


def test_what_was_transparent_stays_so(predictor, tmp_path):
    """A bright square of which the image shows the left half, over hidden colours that tell nothing."""
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[..., 3] = 255
    rgba[16:48, 16:48] = 255
    rgba[:, 32:, 3] = 0
    rgba[:, 28:32, 3] = 51
    Image.fromarray(rgba).save(tmp_path / "half.png")
    for image in (rgba, tmp_path / "half.png", Image.fromarray(rgba)):
        alpha = predictor.matte(image).alpha
        assert alpha[30, 20] > 0.9 and alpha[30, 30] < 0.21 and alpha[:, 32:].max() == 0
        np.testing.assert_allclose(predictor.predict_batch([image])[0], alpha, atol=1e-6)
    opaque = predictor.matte(np.dstack([rgba[..., :3], np.full((64, 64), 255, np.uint8)])).alpha
    np.testing.assert_array_equal(opaque, predictor.predict(rgba[..., :3]))


def test_an_empty_batch_is_an_empty_list(predictor):
    assert predictor.predict_batch([]) == []


def test_a_given_trimap_holds_at_every_pixel(model, image):
    trimap = np.full((70, 50), 128, np.uint8)
    trimap[:20], trimap[50:] = 0, 255
    matte = Predictor(model, max_side=32).matte(image, trimap=trimap)
    assert not matte.alpha[:20].any() and (matte.alpha[50:] == 1).all()
    assert 0.1 < matte.alpha[30:40].mean() < 0.9
    np.testing.assert_array_equal(matte.trimap, trimap)


def test_a_trimap_of_another_size_is_refused_with_both_sizes(predictor, image):
    with pytest.raises(InputError, match=r"70.*50"):
        predictor.predict(image, trimap=np.zeros((10, 10), np.uint8))


def test_a_trimap_for_a_list_is_refused(model, image):
    with pytest.raises(InputError, match="one image"):
        jointmat.predict([image, image], trimap=np.zeros((70, 50), np.uint8), model=model)


def test_threads_share_a_predictor(predictor, rng):
    images = [rng.integers(0, 256, (60 + i, 80, 3), np.uint8) for i in range(16)]
    alone = [predictor.predict(p) for p in images]
    with ThreadPoolExecutor(8) as pool:
        for expected, found in zip(alone, pool.map(predictor.predict, images), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_a_predictor_can_be_pickled(predictor, image):
    again = pickle.loads(pickle.dumps(predictor))
    assert again.max_side == predictor.max_side
    np.testing.assert_array_equal(again.predict(image), predictor.predict(image))


def test_a_predictor_goes_to_another_process(predictor, image):
    """By spawn; after a fork a new one is to be made, as its documentation says."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(predictor.predict, image).result()
    np.testing.assert_array_equal(there, predictor.predict(image))


def test_neither_network_nor_home_is_needed(model, image, tmp_path):
    image_file = tmp_path / "a.png"
    Image.fromarray(image).save(image_file)
    program = (
        "import socket, sys\n"
        "def fail(*_, **__): raise OSError('a socket was opened')\n"
        "socket.socket.__init__ = socket.getaddrinfo = fail\n"
        "import jointmat\n"
        "jointmat.Predictor(sys.argv[1]).matte(sys.argv[2]).cutout()"
    )
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    command = [sys.executable, "-c", program, str(model), str(image_file)]
    done = subprocess.run(command, cwd=SOURCES, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_exif_rotation_gives_an_upright_alpha(predictor, tmp_path):
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :10] = 255  # left, which orientation 6 turns to the top
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(image).save(path, exif=exif)
    alpha = predictor.predict(path)
    assert alpha.shape == (60, 40) and alpha[:8].min() > 0.9 and alpha[12:].max() < 0.1


def test_one_call_keeps_its_model(model, image):
    first = jointmat.predict(image, model=model)
    count = len(jointmat.predictor._kept)
    np.testing.assert_array_equal(jointmat.predict(image, model=str(model)), first)
    for side in (32, 64, 96):
        jointmat.predict(image, model=Path(model), max_side=side)
    assert len(jointmat.predictor._kept) == count


def test_one_call_bounds_pixels(model, image):
    with pytest.raises(ImageTooLarge):
        jointmat.predict(image, model=model, max_pixels=100)


def test_what_happens_to_the_photo_later_does_not_change_its_matte(predictor, image):
    expected = predictor.predict(image)
    matte = predictor.matte(image)
    matte.image[:] = 0
    np.testing.assert_array_equal(matte.alpha, expected)


@pytest.mark.parametrize(
    "error", [MemoryError(), cv2.error("Failed to allocate 9 bytes in function 'OutOfMemoryError'")]
)
@pytest.mark.parametrize("place", ["jointmat.predictor.preprocess", "jointmat.predictor.enlarged"])
def test_too_little_memory_beside_the_network_is_one_line(predictor, image, monkeypatch, place, error):
    if isinstance(error, cv2.error):
        error.code = cv2.Error.StsNoMem

    def fail(*_):
        raise error

    monkeypatch.setattr(place, fail)
    with pytest.raises(DeviceError, match="not enough memory; use a smaller image"):
        predictor.predict(image)
    with pytest.raises(DeviceError, match="not enough memory"):
        predictor.predict_batch([image, image])


def test_other_mistakes_of_opencv_are_no_lack_of_memory():
    with pytest.raises(cv2.error), enough_memory("a.jpg"):
        cv2.resize(np.zeros((2, 2), np.uint8), (0, 0))


def test_one_call_takes_a_list(model, image):
    both = jointmat.predict([image, image[:40]], model=model)
    assert [a.shape for a in both] == [(70, 50), (40, 50)]


def test_one_call_takes_any_iterable(model, image, tmp_path):
    for index in range(2):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    for images in (tuple(tmp_path.iterdir()), tmp_path.glob("*.png"), (path for path in tmp_path.iterdir())):
        assert [a.shape for a in jointmat.predict(images, model=model)] == [(70, 50)] * 2


def test_one_call_makes_a_pillow_image(model, image):
    cutout = jointmat.cutout(image, model=model, color="rgb")
    assert (cutout.mode, cutout.size) == ("RGBA", (50, 70))
    np.testing.assert_array_equal(np.asarray(cutout), Predictor(model).matte(image).cutout())


def test_an_unknown_option_is_no_option(model, image):
    for images in (image, [image]):
        with pytest.raises(TypeError, match="colour"):
            jointmat.predict(images, model=model, colour="RGB")


def test_mattes_come_in_order_and_a_broken_image_is_its_error(predictor, rng, tmp_path):
    images = [rng.integers(0, 256, (40 + i, 30, 3), np.uint8) for i in range(9)]
    found = list(predictor.mattes([*images[:4], tmp_path / "none.png", *images[4:], None], jobs=3))
    assert isinstance(found.pop(4), ImageError) and isinstance(found.pop(), InputTypeError)
    for image, matte in zip(images, found, strict=True):
        np.testing.assert_array_equal(matte.alpha, predictor.predict(image))


def test_mattes_are_lazy(predictor, image):
    taken = []
    mattes = predictor.mattes((taken.append(1) or image for _ in range(100)), jobs=2)
    assert not taken
    next(mattes)
    assert len(taken) <= 4
    mattes.close()
    assert len(taken) <= 4


@pytest.mark.parametrize("images", ["a.jpg", b"", np.zeros((4, 4, 3), np.uint8), 3])
def test_one_image_is_not_several(predictor, images):
    for call in (predictor.mattes, predictor.predict_batch):
        with pytest.raises(InputTypeError, match="expected several images"):
            call(images)


def test_several_images_are_not_one(predictor, image):
    with pytest.raises(InputTypeError, match=r"got list, expected one image; .*mattes"):
        predictor.matte([image])


def test_a_predictor_says_what_it_is(predictor, model):
    assert repr(predictor).startswith("Predictor(ONNX Runtime") and str(model) in repr(predictor)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_side": 0}, "max_side=0: expected at least 1"),
        ({"max_pixels": 0}, "max_pixels=0: expected at least 1"),
        ({"threads": -1}, "threads=-1: expected at least 1"),
        ({"threads": "2"}, "threads='2': expected a whole number, got str"),
        ({"max_side": 100.5}, "max_side=100.5: expected a whole number, got float"),
        ({"backend": "tensorflow"}, "expected auto, onnx, openvino, torch"),
    ],
)
def test_settings_that_make_no_sense_are_named(model, settings, message):
    with pytest.raises((InputError, InputTypeError), match=message):
        Predictor(model, **settings)


def sizes_seen(predictor, monkeypatch):
    """Heights and widths of what its network gets from now on."""
    seen = []
    real = predictor.backend.run
    monkeypatch.setattr(
        predictor.backend, "run", lambda image, *given: seen.append(image.shape[2:]) or real(image, *given)
    )
    return seen


@pytest.mark.parametrize(("size", "max_side"), [((300, 200), 100), ((140, 30), 512), ((2000, 3), 64)])
def test_the_network_sees_the_long_side_at_max_side(model, monkeypatch, size, max_side):
    predictor = Predictor(model, max_side=max_side)
    seen = sizes_seen(predictor, monkeypatch)
    predictor.predict(np.zeros((*size, 3), np.uint8))
    bound = -(-max_side // 32) * 32  # smaller images are enlarged
    assert max(seen[0]) == bound and len(seen) == 1


def test_without_onnxruntime_the_command_to_get_it_is_named(model, monkeypatch):
    monkeypatch.delitem(sys.modules, "jointmat.runtime.onnx", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DependencyError, match="pip install onnxruntime"):
        Predictor(model)


def test_an_unknown_model_names_the_known_ones():
    with pytest.raises(WeightsError, match=r"unknown model 'huge' .*available: "):
        Predictor("huge")


def test_an_image_over_the_limit_is_refused(model, image):
    with pytest.raises(ImageTooLarge, match="max_pixels"):
        Predictor(model, max_pixels=1000).predict(image)


@pytest.mark.skipif(not SHIPPED.is_file(), reason="weights/lite.onnx is not in this checkout")
class TestShippedWeights:
    def test_the_portrait_is_cut_out(self):
        matte = Predictor().matte(PORTRAIT)
        assert matte.alpha[80:140, 190:250].min() > 0.9  # face
        assert matte.alpha[300:480, 150:250].mean() > 0.95  # suit
        assert matte.alpha[:60, :100].max() < 0.1  # flag
        assert matte.alpha[20:200, 380:].max() < 0.1  # shuttle
        assert 0 < (matte.trimap == 128).mean() < 0.3

    @pytest.mark.parametrize("side", [160, 320])
    def test_a_small_portrait_is_cut_out_as_a_large_one(self, side):
        predictor, portrait = Predictor(), cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
        small = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
        found = predictor.predict(small) > 0.5
        expected = cv2.resize(predictor.predict(portrait), (side, side), interpolation=cv2.INTER_AREA) > 0.5
        for mask in (found, expected):
            mask[round(0.6 * side) :, round(0.66 * side) :] = False  # the helmet: what is held may be in or out
        assert (found & expected).sum() / (found | expected).sum() > 0.99

    @pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
    def test_both_backends_agree(self):
        onnx, torch = (Predictor(backend=name).matte(PORTRAIT) for name in ("onnx", "torch"))
        assert np.abs(onnx.alpha - torch.alpha).max() < 1e-3
        assert np.abs(onnx.mask - torch.mask).max() < 1e-3

    @pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
    def test_both_backends_agree_with_a_given_trimap(self):
        trimap = Predictor().matte(PORTRAIT).trimap
        onnx, torch = (Predictor(backend=name).predict(PORTRAIT, trimap=trimap) for name in ("onnx", "torch"))
        assert np.abs(onnx - torch).max() < 1e-3


def test_a_predictor_can_be_called(predictor, image):
    np.testing.assert_array_equal(predictor(image, color="bgr"), predictor.predict(image, color="BGR"))


def test_a_closed_predictor(model, image):
    with Predictor(model) as predictor:
        assert predictor.predict(image).shape == image.shape[:2]
        backend = weakref.ref(predictor.backend)
    assert backend() is None
    assert repr(predictor) == "Predictor(closed)"
    with pytest.raises(InputError, match="closed"):
        predictor.predict(image)
    predictor.close()
    again = pickle.loads(pickle.dumps(predictor))
    assert again.predict(image).shape == image.shape[:2]


def test_density_reaches_every_file(predictor, image, tmp_path):
    rgba = np.dstack([image, image[..., 0]])
    Image.fromarray(rgba).save(tmp_path / "in.png", dpi=(300, 300))
    matte = predictor.matte(tmp_path / "in.png")
    expected = pytest.approx((300, 300), abs=0.1)
    for one in (matte, matte.crop(), matte.inverted(), matte.adjust_edge(shift=1)):
        assert one.dpi == one.to_pil().info["dpi"] == expected
        for name in ("cutout.png", "cutout.tif"):
            one.save(tmp_path / name)
            assert Image.open(tmp_path / name).info["dpi"] == expected
        one.save_alpha(tmp_path / "alpha.jpg")
        one.save_alpha(tmp_path / "alpha.dat", format="png")
        one.save(buffer := io.BytesIO())
        for file in (tmp_path / "alpha.jpg", tmp_path / "alpha.dat", buffer):
            assert Image.open(file).info["dpi"] == expected
