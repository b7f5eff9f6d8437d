"""PNG files that every decoder reads alike."""

import base64
import io
import shutil
import struct
import subprocess
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from jointmat.io import png
from jointmat.io.png import encode_png

SHAPES = [(1, 1), (1, 7), (7, 1), (3, 5), (64, 63), (1, 3000), (40, 33)]
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def contents(kind, shape):
    rng = np.random.default_rng(0)
    if kind == "noise":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    if kind == "constant":
        return np.full(shape, 255, np.uint8)
    rows = np.linspace(0, 255, shape[0])[:, None, None] + np.linspace(0, 200, shape[1])[:, None]
    return (rows + rng.normal(0, 1, shape)).astype(np.int64).astype(np.uint8)


def chunks(data):
    """(kind, content) of every chunk, its checksum verified."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert int.from_bytes(data[at + 8 + length : at + 12 + length]) == zlib.crc32(kind + content)
        found.append((kind, content))
        at += 12 + length
    return found


def assert_reads_as(data, array):
    image = Image.open(io.BytesIO(data))
    assert image.mode == MODES[array.shape[2]]
    np.testing.assert_array_equal(np.asarray(image).reshape(array.shape), array)
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    order = {1: slice(None), 3: [2, 1, 0], 4: [2, 1, 0, 3]}[array.shape[2]]
    np.testing.assert_array_equal(np.atleast_3d(read)[..., order], array)
    # The standard library checks the checksum of the whole stream, which the two above may not.
    stream = b"".join(content for kind, content in chunks(data) if kind == b"IDAT")
    assert len(zlib.decompress(stream)) == array.shape[0] * (array.shape[1] * array.shape[2] + 1)


@pytest.mark.parametrize("band", [300, 1 << 20])
@pytest.mark.parametrize("kind", ["noise", "constant", "smooth"])
@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("size", SHAPES, ids=str)
def test_every_decoder_reads_what_was_written(size, channels, kind, band, monkeypatch):
    monkeypatch.setattr(png, "_BAND_BYTES", band)
    array = contents(kind, (*size, channels))
    assert_reads_as(encode_png(array), array)


@pytest.mark.parametrize("level", range(10))
def test_every_level(level):
    array = contents("smooth", (40, 50, 3))
    assert_reads_as(encode_png(array, level=level), array)


def test_views_that_are_not_contiguous():
    array = contents("noise", (20, 30, 4))
    assert_reads_as(encode_png(array[::-2, 3:20]), array[::-2, 3:20])


def test_the_filter_follows_the_content(monkeypatch):
    monkeypatch.setattr(png, "_BAND_BYTES", 1 << 14)
    columns = np.repeat(contents("noise", (1, 64, 3)), 64, axis=0)  # the rows are alike
    grain = np.clip(np.random.default_rng(0).normal(128, 5, (64, 64, 3)), 0, 255).astype(np.uint8)
    for array, kind in ((columns, 2), (grain, 3)):
        stream = b"".join(content for name, content in chunks(encode_png(array)) if name == b"IDAT")
        assert set(zlib.decompress(stream)[:: 64 * 3 + 1]) == {kind}


def test_files_are_no_larger_than_pillows():
    """Of a smooth image, of one with grain, and of a cut-out."""
    smooth = cv2.resize(contents("noise", (20, 30, 3)), (600, 400), interpolation=cv2.INTER_CUBIC)
    grain = np.clip(smooth + np.random.default_rng(0).normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)
    alpha = cv2.GaussianBlur(cv2.circle(np.zeros((400, 600), np.uint8), (300, 200), 150, 255, -1), (0, 0), 3)
    for array in (smooth, grain, np.dstack([smooth, alpha])):
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "png")
        quick, small = len(encode_png(array)), len(encode_png(array, level=9))
        assert small <= quick <= 1.1 * len(buffer.getvalue())


def test_profile_and_density():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode_png(contents("noise", (4, 5, 3)), icc=profile, dpi=(300, 150))
    image = Image.open(io.BytesIO(data))
    assert image.info["icc_profile"] == profile
    assert image.info["dpi"] == pytest.approx((300, 150), abs=0.02)
    assert [kind for kind, _ in chunks(data)][:3] == [b"IHDR", b"iCCP", b"pHYs"]
    assert {kind for kind, _ in chunks(encode_png(contents("noise", (4, 5, 3))))} == {b"IHDR", b"IDAT", b"IEND"}


def test_libpngs_checker_finds_nothing(tmp_path, monkeypatch):
    checker = shutil.which("pngcheck")
    if not checker:
        pytest.skip("pngcheck is not installed")
    monkeypatch.setattr(png, "_BAND_BYTES", 500)
    for channels in MODES:
        path = tmp_path / f"{channels}.png"
        path.write_bytes(encode_png(contents("smooth", (33, 21, channels)), icc=None, dpi=(72, 72)))
        run = subprocess.run([checker, "-v", str(path)], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout
        assert "No errors detected" in run.stdout


READ = """async data => {
    const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
    const decoder = new ImageDecoder({
        data: bytes, type: "image/png", premultiplyAlpha: "none", colorSpaceConversion: "none",
    });
    const {image} = await decoder.decode();
    const pixels = new Uint8Array(image.allocationSize());
    await image.copyTo(pixels);
    return [image.format, [...pixels]];
}"""


def test_chromium_reads_what_was_written(monkeypatch):
    pytest.importorskip("playwright")
    from tests.serve.browser import EXECUTABLE, chromium

    if EXECUTABLE is None:
        pytest.skip("no Chromium is installed")
    monkeypatch.setattr(png, "_BAND_BYTES", 500)
    with chromium() as browser:
        page = browser.new_page()
        page.route("**", lambda route: route.fulfill(body=""))
        page.goto("https://localhost/")  # only secure pages have ImageDecoder; no network is asked
        for channels in MODES:
            array = contents("noise", (33, 21, channels))
            form, values = page.evaluate(READ, base64.b64encode(encode_png(array)).decode())
            read = np.array(values, np.uint8).reshape(33, 21, 4)
            read = read[..., [2, 1, 0, 3]] if form.startswith("BGR") else read
            seen = 4 if channels == 4 else 3
            np.testing.assert_array_equal(read[..., :seen], np.broadcast_to(array, (33, 21, seen)))


def test_the_header():
    header = chunks(encode_png(contents("noise", (3, 2, 4))))[0][1]
    assert struct.unpack(">IIBBBBB", header) == (2, 3, 8, 6, 0, 0, 0)
