"""Images that would take too much time or memory are refused before they are decoded."""

import struct
import subprocess
import sys
import warnings
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jointmat.errors import ImageTooLarge, JointmatWarning
from jointmat.io import limits
from jointmat.io.image import load_image
from tests.io.images import JPEG_SCAN, chunk, encoded, message, noise, png, tiff


def test_a_huge_header_is_refused_without_decoding(tmp_path):
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak memory is read from /proc")
    path = tmp_path / "bomb.png"
    path.write_bytes(png(20_000, 20_000, b"\0"))
    # Not ru_maxrss: a child inherits its parent's.
    code = f"""
import numpy
from jointmat.errors import ImageTooLarge
from jointmat.io.image import load_image
load_image(numpy.zeros((8, 8)))
peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
before = peak()
try:
    load_image({str(path)!r})
except ImageTooLarge as error:
    print(peak() - before, error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    grown, text = run.stdout.strip().split(" ", 1)
    assert int(grown) < 100_000
    assert text == (
        f"{path}: got 20000x20000 = 400000000 pixels, the limit is 50331648: raise max_pixels to accept it"
    )


def test_a_real_image_of_144_megapixels():
    rows = (b"\0" + bytes(1500)) * 12_000
    data = png(12_000, 12_000, rows, depth=1, colour_type=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "got 12000x12000 = 144000000 pixels" in message(lambda: load_image(data), ImageTooLarge)


def test_the_limit_is_the_callers():
    torch = pytest.importorskip("torch")
    array = noise(10, 11)
    sources = [encoded(array, "PNG"), Image.fromarray(array), array, torch.from_numpy(array).permute(2, 0, 1)]
    for source in sources:
        np.testing.assert_array_equal(load_image(source, max_pixels=110), array)
        with pytest.raises(ImageTooLarge, match="got 11x10 = 110 pixels, the limit is 109"):
            load_image(source, max_pixels=109)


def test_pillows_own_limit_does_not_interfere(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for format in ("PNG", "BMP", "PPM"):
            np.testing.assert_array_equal(load_image(encoded(noise(), format)), noise())


def tiff_of_tiles(kind=4):
    """Return a grey TIFF of 16x16 pixels whose one tile has 512x512, deflated; `kind` is of its size's tags."""
    tile = zlib.compress(bytes(512 * 512))
    numbers = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: 512, 323: 512, 324: 8, 325: len(tile)}
    return tiff(tile, numbers, {322: kind, 323: kind})


def test_tiles_that_are_larger_than_the_image():
    text = message(lambda: load_image(tiff_of_tiles(), max_pixels=512**2 - 1), ImageTooLarge)
    assert text.startswith("<bytes>: a tile: got 512x512 = 262144 pixels, the limit is 262143: ")
    assert load_image(tiff_of_tiles(), max_pixels=512**2).shape == (16, 16, 3)
    text = message(lambda: load_image(tiff_of_tiles(kind=1)))
    assert text == "<bytes>: damaged (the size of its tiles is not a number)"


@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_jpeg_with_too_many_scans(where, monkeypatch):
    """libjpeg walks the whole image for each of them."""
    data = encoded(noise(40, 40), "JPEG", progressive=True)
    scan = data.rindex(JPEG_SCAN)
    monkeypatch.setattr(limits, "_WINDOW_BYTES", 100 + where)  # some end before, some in, some after a marker
    monkeypatch.setattr(limits, "_MOST_WALKED", 500 * 40 * 40)
    scans = data.count(JPEG_SCAN)
    most = data[:scan] + (500 - scans) * data[scan:-2] + data[scan:]
    assert load_image(most).shape == (40, 40, 3)
    text = message(partial(load_image, most[:-2] + data[scan:]))
    assert text == "<bytes>: got 501 scans, expected at most 500: save it again as baseline JPEG"


def test_only_the_scans_of_the_image_itself_count(monkeypatch):
    """Neither those of a preview nor what looks like one in a film that a phone puts behind its photo."""
    monkeypatch.setattr(limits, "_MOST_WALKED", 0)
    data = encoded(noise(), "JPEG")
    expected = load_image(data)
    preview = b"Exif\0\0" + 50 * data
    app1 = b"\xff\xe1" + struct.pack(">H", 2 + len(preview)) + preview
    film = b"\0\0\0\x18ftypmp42" + 50 * JPEG_SCAN
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JointmatWarning)  # of the EXIF data
        np.testing.assert_array_equal(load_image(data[:2] + app1 + data[2:] + film), expected)


@pytest.mark.parametrize(
    "disguise", [b"", b"\xff\xff", b"\xff\0", b"\xff\x02\xff\xff", b"\xff\xd3", b"\xff\xfe\0\0"]
)
def test_scans_cannot_hide(disguise, monkeypatch):
    """Behind fill bytes, stuffing, a marker that does not exist, a restart or an impossible length."""
    monkeypatch.setattr(limits, "_MOST_WALKED", 0)
    data = encoded(noise(40, 40), "JPEG", progressive=True)
    scan = data.rindex(JPEG_SCAN)
    text = message(lambda: load_image(data[:-2] + 20 * (disguise + data[scan:-2]) + data[-2:]))
    assert text.endswith("expected at most 20: save it again as baseline JPEG")


def test_usual_scans_are_accepted_whatever_the_size(monkeypatch):
    monkeypatch.setattr(limits, "_MOST_WALKED", 0)
    data = encoded(noise(40, 40), "JPEG", progressive=True)
    assert data.count(JPEG_SCAN) > 5
    assert load_image(data).shape == (40, 40, 3)


@pytest.mark.parametrize("where", ["before the data", "after the data"])
@pytest.mark.parametrize(("format", "segment"), [("JPEG", b"\xff\xfe\0\2"), ("PNG", chunk(b"prVt", b""))])
def test_a_file_of_too_many_segments_is_refused_before_they_are_parsed(format, segment, where, monkeypatch):
    monkeypatch.setattr(limits, "_MOST_SEGMENTS", 50)
    data = encoded(noise(), format)
    first = {"JPEG": 2, "PNG": 33}[format]  # behind the signature and a PNG's header
    last = -{"JPEG": 2, "PNG": 12}[format]
    at = first if where == "before the data" else last
    np.testing.assert_array_equal(load_image(data[:at] + 30 * segment + data[at:]), load_image(data))
    text = message(partial(load_image, data[:at] + 50 * segment + data[at:]))
    assert text == "<bytes>: got over 50 segments, expected at most that many: save it again"
    np.testing.assert_array_equal(load_image(data + 50 * segment), load_image(data))


@pytest.mark.parametrize("kind", [b"iCCP", b"iTXt", b"zTXt"])
def test_a_png_of_too_many_packed_texts_or_profiles(kind):
    """Each may unpack to a thousand times its size."""
    data = encoded(noise(), "PNG")
    for at in (33, -12):  # before and after the data
        many = data[:at] + 100 * chunk(kind, b"") + data[at:]
        text = message(lambda many=many, at=at: load_image(many[:at] + chunk(kind, b"") + many[at:]))
        assert text == "<bytes>: got 101 packed texts or profiles, expected at most 100"


@pytest.mark.parametrize("format", ["WEBP", "TIFF"])
def test_a_limit_in_pillows_parsers_is_named(format, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    text = message(lambda: load_image(encoded(noise(), format)), ImageTooLarge)
    assert text.startswith("<bytes>: Image size (480 pixels) exceeds limit of 20 pixels")
    assert text.endswith("raise max_pixels and PIL.Image.MAX_IMAGE_PIXELS to accept it")
