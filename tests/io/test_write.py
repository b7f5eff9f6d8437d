"""Arrays to image files."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from jointmat.errors import InputError, InputTypeError
from jointmat.io import write
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_image
from jointmat.io.write import encode_image, save_image
from tests.io.images import encoded, message, noise


@pytest.mark.parametrize("extension", ["png", "PNG", "webp", "tif", "tiff"])
@pytest.mark.parametrize("shape", [(20, 24), (20, 24, 1), (20, 24, 3), (20, 24, 4)])
def test_lossless_round_trip(tmp_path, extension, shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / f"image.{extension}"
    save_image(path, array)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[1 if len(shape) == 2 else shape[2]]
    np.testing.assert_array_equal(np.asarray(Image.open(path).convert(mode)), array.squeeze())


def test_jpeg_is_close(tmp_path):
    array = np.asarray(Image.fromarray(noise(4, 4)).resize((32, 32)))
    save_image(tmp_path / "image.jpg", array)
    assert np.abs(load_image(tmp_path / "image.jpg").astype(int) - array).mean() < 3


def test_colours_under_alpha_0_are_kept_in_webp():
    rgba = np.array([[(10, 20, 30, 0)]], np.uint8)
    assert Image.open(io.BytesIO(encode_image(rgba, "webp"))).getpixel((0, 0)) == (10, 20, 30, 0)


def test_nothing_of_the_source_but_its_pixels_is_written(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    upright = load_image(encoded(noise(), "JPEG", exif=exif))
    for extension in ("png", "jpg", "webp", "tif"):
        save_image(tmp_path / f"out.{extension}", upright)
        written = Image.open(tmp_path / f"out.{extension}")
        assert written.size == (20, 24)
        assert 0x0112 not in written.getexif()
        assert not written.getexif().get_ifd(0x8825)


@pytest.mark.parametrize("format", ["png", "webp", "jpg", "tif"])
def test_the_profile_is_written(format):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert Image.open(io.BytesIO(encode_image(noise(), format, icc=profile))).info["icc_profile"] == profile
    assert "icc_profile" not in Image.open(io.BytesIO(encode_image(noise(), format))).info


def test_alpha_in_a_jpeg(tmp_path):
    path = tmp_path / "out.jpg"
    assert message(lambda: save_image(path, noise(channels=4)), InputError) == (
        f"{path}: JPEG has no alpha: use .png or .webp"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.bmp", "out", "out."])
def test_unknown_extension(tmp_path, name):
    text = message(lambda: save_image(tmp_path / name, noise()), InputError)
    assert "expected one of png, webp, jpg, jpeg, tif, tiff" in text
    assert str(tmp_path / name) in text


def test_an_impossible_path_is_refused_before_encoding(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "encode_png", lambda *args, **options: pytest.fail("it was encoded"))
    for name, cause in (("a\0b.png", "embedded null byte"), ("missing/out.png", "no such folder")):
        assert message(lambda name=name: save_image(tmp_path / name, noise()), InputError).endswith(cause)


def test_only_uint8_is_written():
    assert message(lambda: encode_image(np.zeros((2, 2))), InputTypeError) == (
        "<bytes>: got dtype float64, expected uint8: convert floats with to_uint8"
    )


def test_shapes_that_are_not_written():
    assert "got 3xHxW (3, 8, 9)" in message(lambda: encode_image(np.zeros((3, 8, 9), np.uint8)), InputError)
    assert "zero width or height" in message(lambda: encode_image(np.zeros((0, 9), np.uint8)), InputError)


def test_a_size_that_the_format_cannot_hold(tmp_path):
    path = tmp_path / "out.webp"
    assert message(lambda: save_image(path, np.zeros((1, 16384), np.uint8)), InputError).startswith(
        f"{path}: cannot be written as WEBP"
    )
    assert list(tmp_path.iterdir()) == []


def test_to_uint8_rounds_and_clips():
    x = np.array([-1, 0, 0.5 / 255 - 1e-4, 0.5 / 255 + 1e-4, 254.6 / 255, 1, 2], np.float32)
    assert to_uint8(x).tolist() == [0, 0, 0, 1, 255, 255, 255]
    assert to_uint8(x).dtype == np.uint8
    assert to_uint8(np.float16([0.4])).tolist() == [102]


def test_density_is_written(tmp_path):
    for extension in ("png", "jpg", "tif"):
        save_image(tmp_path / f"out.{extension}", noise(), dpi=(300, 300))
        written = Image.open(tmp_path / f"out.{extension}").info["dpi"]
        assert [float(n) for n in written] == pytest.approx([300, 300], abs=0.02)
    save_image(tmp_path / "out.webp", noise(), dpi=(300, 300))  # which has no place for it


def test_compression_is_chosen_for_png():
    smooth = np.asarray(Image.fromarray(noise()).resize((200, 200)))
    stored, quick = (len(encode_image(smooth, compression=level)) for level in (0, 3))
    assert quick < stored > smooth.size
    assert "compression=10" in message(lambda: encode_image(noise(), compression=10), InputError)
