"""Modes, orientation and colour profiles of Pillow images."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from jointmat.errors import InputError, JointmatWarning
from jointmat.io.image import load, load_alpha, load_image
from tests.io.images import assert_one_form, chunk, encoded, message, noise, png, png16

# Modes


def palette_image(**info):
    image = Image.new("P", (1, 1), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.info.update(info)
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("1", (1, 1), 1), (255, 255, 255)),
        (Image.new("L", (1, 1), 100), (100, 100, 100)),
        (Image.new("LA", (1, 1), (100, 255)), (100, 100, 100)),
        (Image.new("LA", (1, 1), (100, 0)), (255, 255, 255)),
        (Image.new("LA", (1, 1), (100, 51)).convert("La"), (224, 224, 224)),
        (palette_image(), (10, 20, 30)),
        (palette_image(transparency=1), (255, 255, 255)),
        (palette_image(transparency=b"\0\x80"), (132, 137, 142)),
        (palette_image().convert("PA"), (10, 20, 30)),
        (Image.new("RGB", (1, 1), (10, 20, 30)), (10, 20, 30)),
        (Image.new("RGBA", (1, 1), (10, 20, 30, 255)), (10, 20, 30)),
        (Image.new("RGBA", (1, 1), (10, 20, 30, 51)), (206, 208, 210)),
        (Image.new("RGBA", (1, 1), (10, 20, 30, 255)).convert("RGBa"), (10, 20, 30)),
        (Image.new("RGBX", (1, 1), (10, 20, 30, 0)), (10, 20, 30)),
        (Image.new("CMYK", (1, 1), (0, 255, 255, 0)), (255, 0, 0)),
        (Image.new("YCbCr", (1, 1), (76, 85, 255)), (254, 0, 0)),
        (Image.new("HSV", (1, 1), (0, 255, 255)), (255, 0, 0)),
        (Image.new("I", (1, 1), 32896), (128, 128, 128)),
        (Image.new("I;16", (1, 1), 32896), (128, 128, 128)),
        (Image.new("I;16L", (1, 1), 32896), (128, 128, 128)),
        (Image.new("I;16B", (1, 1), 32896), (128, 128, 128)),
        (Image.new("F", (1, 1), 0.4), (102, 102, 102)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_every_mode(image, expected):
    result = load_image(image)
    assert_one_form(result, 1, 1)
    assert tuple(result[0, 0]) == expected


def test_lab():
    data = encoded(Image.frombytes("LAB", (1, 1), bytes([136, 20, 236])), "TIFF")
    # By the CIE formulas and Bradford from D50: (149.1, 115.7, 162.3).
    np.testing.assert_allclose(load_image(data)[0, 0], (149, 116, 162), atol=1)


def test_an_unknown_mode():
    image = Image.new("RGB", (1, 1))
    image._mode = "XYZ"
    assert message(lambda: load_image(image)) == "PIL image: mode XYZ unsupported"


@pytest.mark.parametrize(("low", "high"), [(-1, 5), (0, 65536)])
def test_mode_i_out_of_range(low, high):
    image = Image.fromarray(np.array([[low, high]], np.int32))
    assert message(lambda: load_image(image), InputError) == (
        f"PIL image: values of mode I must be in 0..65535, got {low} to {high}"
    )


def test_mode_f_out_of_range():
    text = message(lambda: load_image(Image.new("F", (1, 1), 200.0)), InputError)
    assert text.startswith("PIL image: got values from 200 to 200, expected floats in [0, 1]")


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_rescaled(channels):
    values = np.random.default_rng(0).integers(0, 65536, (32, 32, channels), dtype=np.uint16)
    result = load_image(png16(values))
    assert result.mean() == pytest.approx(values.mean() / 257, rel=0.01)
    assert np.abs(result - values / 257.0).max() < 1
    assert load_image(png16(np.full((2, 2, channels), 65535, np.uint16))).min() == 255


@pytest.mark.parametrize("channels", [2, 4])
def test_16_bits_with_alpha(channels):
    values = np.full((2, 2, channels), 32896, np.uint16)
    values[0, :, -1] = 65535
    values[1, :, -1] = 0
    result = load_image(png16(values))
    assert (result[0] == 128).all()
    assert (result[1] == 255).all()


@pytest.mark.parametrize(
    ("depth", "colour_type", "row", "colour"),
    [
        (2, 0, b"\x60", [2]),
        (4, 0, b"\x5a", [10]),
        (8, 0, b"\x0a\x05", [5]),
        (8, 2, bytes([10, 20, 30, 5, 6, 7]), [5, 6, 7]),
        (16, 2, struct.pack(">6H", 10, 2000, 30, 4660, 22136, 39612), [4660, 22136, 39612]),
    ],
)
def test_the_transparent_colour_of_a_png_counts_at_any_depth(depth, colour_type, row, colour):
    """The first of two pixels has another colour, the second this one."""
    key = chunk(b"tRNS", struct.pack(f">{len(colour)}H", *colour))
    options = {"depth": depth, "colour_type": colour_type}
    opaque = load_image(png(2, 1, b"\0" + row, **options))
    result = load_image(png(2, 1, b"\0" + row, before_data=key, **options))
    assert result[0, 0].tolist() == opaque[0, 0].tolist() != [255, 255, 255]
    assert opaque[0, 1].tolist() != result[0, 1].tolist() == [255, 255, 255]


def test_16_bit_pgm():
    assert (load_image(b"P5 2 1 65535\n" + struct.pack(">HH", 0, 65535)) == [[[0] * 3, [255] * 3]]).all()


def test_colours_under_transparent_pixels_do_not_leak():
    visible, hidden = noise(), 255 - noise()
    alpha = np.zeros((20, 24, 1), np.uint8)
    alpha[:10] = 255
    first, second = (np.where(alpha > 0, visible, under) for under in (hidden, np.uint8(7)))
    images = [np.concatenate([rgb, alpha], axis=2) for rgb in (first, second)]
    for results in (
        [load_image(rgba) for rgba in images],
        [load_image(encoded(rgba, "PNG")) for rgba in images],
        [load_image(encoded(rgba, "WEBP", lossless=True, exact=True)) for rgba in images],
    ):
        np.testing.assert_array_equal(*results)
        np.testing.assert_array_equal(results[0][:10], visible[:10])
        assert (results[0][10:] == 255).all()


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animated_files_give_frame_0_with_a_warning(format):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    with pytest.warns(JointmatWarning, match="^<bytes>: has more than one frame: only the first is used$"):
        result = load_image(data)
    assert (result == (255, 0, 0)).all()


# Orientation


UPRIGHT = np.array([[0, 50, 100], [150, 200, 250]], np.uint8)
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: np.rot90(UPRIGHT),
    7: UPRIGHT[::-1, ::-1].T,
    8: np.rot90(UPRIGHT, -1),
}


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation(orientation, format):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(np.ascontiguousarray(STORED[orientation]), format, exif=exif, **options)
    result = load_image(data)
    assert_one_form(result, 2, 3)
    np.testing.assert_array_equal(result[..., 0], UPRIGHT)
    np.testing.assert_array_equal(load_image(Image.open(io.BytesIO(data))), result)


def test_exif_orientation_of_a_jpeg():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, :16] = 255
    result = load_image(encoded(image, "JPEG", exif=exif))
    assert_one_form(result, 32, 16)
    assert (result[:16] > 250).all()


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_orientations_that_do_not_exist_change_nothing(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(load_image(encoded(noise(), "PNG", exif=exif)), noise())


def test_malformed_exif_is_ignored_with_a_warning():
    data = encoded(noise(), "PNG", exif=b"Exif\0\0 this is no TIFF header")
    with pytest.warns(JointmatWarning, match="^<bytes>: malformed EXIF ignored: not a TIFF file"):
        np.testing.assert_array_equal(load_image(data), noise())


# Colour profiles


def s15f16(*values):
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def icc_profile(kind, space, connection, tags):
    """Return an ICC profile, version 4.2, with the given tag data."""
    offset = 132 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for signature, content in tags.items():
        data = content + bytes(-len(content) % 4)
        table += signature + struct.pack(">II", offset + len(body), len(data))
        body += data
    header = struct.pack(
        ">I4sI4s4s4s12s4s", offset + len(body), b"", 0x04200000, kind, space, connection, b"", b"acsp"
    )
    return (header + bytes(28) + s15f16(0.9642, 1, 0.8249)).ljust(128, b"\0") + table + body


def display_p3():
    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0)
    curve += s15f16(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
        b"wtpt": (0.9642, 1, 0.8249),
    }
    tags = {signature: b"XYZ " + bytes(4) + s15f16(*xyz) for signature, xyz in primaries.items()}
    return icc_profile(b"mntr", b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def cyan_only():
    """Return a CMYK profile of a press whose cyan is black and whose other inks are invisible."""
    identity = bytes(range(256))
    lightness = [0 if cyan else 255 for cyan in (0, 1) for _ in range(8)]
    grid = b"".join(bytes([level, 128, 128]) for level in lightness)
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + s15f16(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut += identity * 4 + grid + identity * 3
    return icc_profile(
        b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut, b"wtpt": b"XYZ " + bytes(4) + s15f16(0.9642, 1, 0.8249)}
    )


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_display_p3_is_converted(format):
    options = {"lossless": True} if format == "WEBP" else {}
    image = np.array([[(200, 100, 100), (128, 128, 128)]], np.uint8)
    result = load_image(encoded(image, format, icc_profile=display_p3(), **options))
    # By the matrices of both spaces: (214.9, 92.6, 96.6).
    np.testing.assert_allclose(result, [[(215, 93, 97), (128, 128, 128)]], atol=1)


def test_a_profile_that_is_srgb_moves_no_level():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(load_image(encoded(noise(), "PNG", icc_profile=srgb)), noise())


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (63, 5), (64, 5), (65, 5), (200, 7)])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_every_row_of_an_image_arrives(size, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = {1: noise(*size), 3: noise(*size)[::-1, ::-1], 6: np.rot90(noise(*size), -1)}[orientation]
    result = load_image(encoded(noise(*size), "PNG", exif=exif))
    assert_one_form(result, *expected.shape[:2])
    np.testing.assert_array_equal(result, expected)


def test_a_grey_image_with_an_rgb_profile():
    data = encoded(np.array([[128]], np.uint8), "PNG", icc_profile=display_p3())
    np.testing.assert_allclose(load_image(data)[0, 0], (128, 128, 128), atol=1)


def test_transparency_with_a_profile():
    data = encoded(np.array([[(200, 100, 100, 0)]], np.uint8), "PNG", icc_profile=display_p3())
    assert (load_image(data) == 255).all()


def test_cmyk_takes_its_profile():
    magenta = Image.new("CMYK", (8, 8), (0, 255, 0, 0))
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    options = {"format": "TIFF", "icc_profile": cyan_only()}
    assert (load_image(encoded(magenta, **options)) >= 254).all()
    assert (load_image(encoded(cyan, **options)) <= 1).all()
    assert tuple(load_image(encoded(magenta, "TIFF"))[0, 0]) == (255, 0, 255)


def test_cmyk_jpeg():
    data = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    np.testing.assert_allclose(load_image(data)[0, 0], (255, 0, 0), atol=3)


def test_a_corrupt_profile_is_dropped_with_a_warning():
    with pytest.warns(JointmatWarning, match="^<bytes>: ICC profile ignored: cannot open profile"):
        result = load_image(encoded(noise(), "PNG", icc_profile=b"this is no profile"))
    np.testing.assert_array_equal(result, noise())


def test_a_profile_that_does_not_unpack_is_dropped_with_a_warning():
    data = png(1, 1, b"\0\1\2\3", before_data=chunk(b"iCCP", b"name\0\0 this is not deflated"))
    with pytest.warns(JointmatWarning, match="^<bytes>: corrupt ICC profile ignored$"):
        assert tuple(load_image(data)[0, 0]) == (1, 2, 3)


def test_a_profile_for_other_colours_is_dropped_with_a_warning():
    with pytest.warns(JointmatWarning, match="^<bytes>: ICC profile ignored: cannot build transform"):
        result = load_image(encoded(noise(), "PNG", icc_profile=cyan_only()))
    np.testing.assert_array_equal(result, noise())


def test_a_matte_in_lab_is_its_luminance(tmp_path):
    Image.new("LAB", (4, 4), (128, 128, 128)).save(tmp_path / "a.tif")
    grey = load_image(tmp_path / "a.tif")[0, 0, 0] / 255
    np.testing.assert_allclose(load_alpha(tmp_path / "a.tif"), grey, atol=0.01)


# Density


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "BMP"])
def test_density(format):
    data = encoded(noise(), format, dpi=(300, 150))
    for source in (data, Image.open(io.BytesIO(data))):
        assert load(source).dpi == pytest.approx((300, 150), abs=0.1)
    assert load(noise()).dpi is load(encoded(noise(), "WEBP")).dpi is None


@pytest.mark.parametrize(("orientation", "expected"), [(1, (300, 150)), (3, (300, 150)), (6, (150, 300))])
def test_density_of_a_turned_image(orientation, expected):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert load(encoded(noise(), "JPEG", dpi=(300, 150), exif=exif)).dpi == expected


@pytest.mark.parametrize(
    "dpi",
    [0, "300", (300,), (0, 0), (-1, 300), (300, float("nan")), (float("inf"), 300), (300, 70_000), (300, "x")],
)
def test_a_density_that_is_none_is_left_out(dpi):
    image = Image.fromarray(noise())
    image.info["dpi"] = dpi
    assert load(image).dpi is None
