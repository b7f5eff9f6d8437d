"""Every kind of image, good or bad, gives one upright sRGB array or one clear error."""

import io
import os
import struct
import subprocess
import sys
import tempfile
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, ImageFile, PsdImagePlugin

from jointmat.errors import ImageTooLarge, InputError, InputTypeError
from jointmat.io.image import load_image, load_trimap
from jointmat.io.write import save_image
from tests.io.images import assert_one_form, encoded, message, noise, png, tiff

# Sources


def test_every_source_of_one_image_gives_the_same_array(tmp_path):
    torch = pytest.importorskip("torch")
    array = noise()
    data = encoded(array, "PNG")
    path = tmp_path / "image.png"
    path.write_bytes(data)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    with path.open("rb") as file:
        sources = [
            str(path),
            path,
            data,
            bytearray(data),
            file,
            io.BytesIO(data),
            Image.open(path),
            array,
            tensor,
        ]
        for source in sources:
            result = load_image(source)
            assert_one_form(result, 20, 24)
            np.testing.assert_array_equal(result, array)
        assert not file.closed


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats(format):
    np.testing.assert_array_equal(load_image(encoded(noise(), format)), noise())


def test_lossy_formats():
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    for format, options in [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95}), ("GIF", {})]:
        assert np.abs(load_image(encoded(flat, format, **options)).astype(int) - flat).max() <= 3


def test_a_file_object_is_read_from_its_start():
    file = io.BytesIO(encoded(noise(), "PNG"))
    file.seek(0, io.SEEK_END)
    np.testing.assert_array_equal(load_image(file), noise())


def test_a_stream_that_cannot_seek():
    reader, writer = os.pipe()
    data = encoded(noise(), "PNG")
    thread = threading.Thread(target=lambda: [os.write(writer, data), os.close(writer)])
    thread.start()
    with os.fdopen(reader, "rb") as stream:
        np.testing.assert_array_equal(load_image(stream), noise())
    thread.join()


def test_an_object_that_can_only_read():
    class Response:
        read = io.BytesIO(encoded(noise(), "PNG")).read

    np.testing.assert_array_equal(load_image(Response()), noise())


def test_a_text_file_object(tmp_path):
    text = "the file is open as text: open it in binary mode"
    assert message(lambda: load_image(io.StringIO("x")), InputTypeError) == f"<file>: {text}"
    with tempfile.NamedTemporaryFile("w+", dir=tmp_path) as wrapped:
        assert message(lambda: load_image(wrapped), InputTypeError) == f"{wrapped.name}: {text}"


def test_a_closed_file(tmp_path):
    path = tmp_path / "image.png"
    save_image(path, noise())
    with path.open("rb") as file:
        pass
    assert message(lambda: load_image(file)) == f"{path}: cannot be read: read of closed file"
    file = io.BytesIO(path.read_bytes())
    file.close()
    assert message(lambda: load_image(file)) == "<file>: cannot be read: I/O operation on closed file."


def test_a_file_open_for_writing(tmp_path):
    with (tmp_path / "out.png").open("wb") as file:
        assert message(lambda: load_image(file)) == f"{tmp_path}/out.png: cannot be read: read"


@pytest.mark.parametrize("source", [3, [[0, 0], [0, 0]]])
def test_a_source_of_another_type(source):
    text = message(lambda: load_image(source), InputTypeError)
    assert f"got {type(source).__name__}; expected a path, bytes" in text


def test_what_opencv_returns_for_a_missing_file():
    assert "cv2.imread" in message(lambda: load_image(cv2.imread("no-such.png")), InputTypeError)


@pytest.mark.parametrize("color", ["Rgb", "GBR", None, 3])
def test_unknown_color(color):
    assert message(lambda: load_image(noise(), color=color), InputError) == (
        f'color: got {color!r}, expected "RGB" or "BGR"'
    )


def test_torch_is_not_imported():
    code = (
        "import sys, numpy, jointmat.io.image as io\n"
        "io.load_image(numpy.zeros((2, 2)))\n"
        "print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


# Paths


def test_missing_path(tmp_path):
    path = tmp_path / "missing.png"
    assert message(lambda: load_image(path)) == f"{path}: no such file"


def test_a_folder(tmp_path):
    assert message(lambda: load_image(tmp_path)).startswith(f"{tmp_path}: a folder")


@pytest.mark.parametrize(
    ("path", "advice"), [("https://a.org/b.jpg", "download"), ("~/b.jpg", "expanduser"), ("*.nothing", "glob")]
)
def test_paths_that_only_a_shell_or_a_browser_knows(path, advice):
    assert message(lambda: load_image(path)).startswith(f"{path}: no such file; ")
    assert advice in message(lambda: load_image(path))


def test_devices_and_pipes_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert message(lambda: load_image(tmp_path / "pipe.png")) == f"{tmp_path}/pipe.png: not a regular file"
    assert message(lambda: load_image("/dev/zero")) == "/dev/zero: not a regular file"


def test_a_loop_of_links(tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert "loop.png: cannot be read: Too many levels" in message(lambda: load_image(tmp_path / "loop.png"))


def test_unreadable_file():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "secret.png"
        path.write_bytes(encoded(noise(), "PNG"))
        path.chmod(0)
        root = os.geteuid() == 0
        if root:  # root may read everything
            os.seteuid(65534)
        try:
            assert message(lambda: load_image(path)) == f"{path}: cannot be read: Permission denied"
        finally:
            if root:
                os.seteuid(0)


@pytest.mark.parametrize("name", ["ünï ✓ 漢字.png", "two words.png", "two\nlines.png", "n" * 251 + ".png"])
def test_unusual_names(tmp_path, name):
    save_image(tmp_path / name, noise())
    np.testing.assert_array_equal(load_image(tmp_path / name), noise())
    (tmp_path / name).write_bytes(b"")
    assert "empty file" in message(lambda: load_image(tmp_path / name))


@pytest.mark.parametrize(
    ("path", "cause"), [("n" * 300, "File name too long"), ("a\0b.png", "embedded null byte")]
)
def test_impossible_names(path, cause):
    assert cause in message(lambda: load_image(path))


# Files that are not images


def test_empty_file(tmp_path):
    path = tmp_path / "empty.png"
    path.touch()
    assert message(lambda: load_image(path)) == f"{path}: empty file"
    assert message(lambda: load_image(b"")) == "<bytes>: empty file"


def test_text_with_the_name_of_an_image(tmp_path):
    path = tmp_path / "text.png"
    path.write_text("This is not an image.\n")
    assert message(lambda: load_image(path)) == (
        f"{path}: not an image: expected one of JPEG, PNG, WebP, BMP, TIFF, GIF, PPM, AVIF, HEIC"
    )


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        ("EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"),
        ("PDF", b"%PDF-1.7\n"),
        ("SVG", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("SVG", b'<?xml version="1.0"?>\n<!-- drawn by hand -->\n<svg/>'),
        ("PSD", b"8BPS\0\1" + bytes(20)),
        ("JPEG 2000", b"\0\0\0\x0cjP  \r\n\x87\n"),
        ("ICO", b"\0\0\1\0\1\0" + bytes(20)),
        ("ZIP", b"PK\3\4" + bytes(20)),
    ],
)
def test_formats_that_are_not_allowed(kind, head):
    expected = "JPEG, PNG, WebP, BMP, TIFF, GIF, PPM, AVIF, HEIC"
    assert message(lambda: load_image(head)) == (
        f"<bytes>: format not allowed: got {kind}, expected one of {expected}"
    )


def test_parsers_that_are_not_allowed_never_run(monkeypatch):
    def forbidden(*args):
        raise AssertionError("a parser was called")

    monkeypatch.setattr(EpsImagePlugin.EpsImageFile, "_open", forbidden)
    monkeypatch.setattr(PsdImagePlugin.PsdImageFile, "_open", forbidden)
    monkeypatch.setattr(Image, "open", forbidden)
    for data in (b"%!PS-Adobe-3.0 EPSF-3.0\n", b"8BPS\0\1" + bytes(20)):
        assert "format not allowed" in message(lambda data=data: load_image(data))


def test_a_polyglot_is_only_what_its_first_bytes_say():
    image = encoded(noise(), "PNG")
    np.testing.assert_array_equal(load_image(image + b"PK\3\4 an archive"), noise())
    assert "got ZIP" in message(lambda: load_image(b"PK\3\4 an archive" + image))
    assert message(lambda: load_image(b"GIF89a=1;alert(1)")) == "<bytes>: truncated"


# Damaged files


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_truncated(format, kept):
    data = encoded(noise(64, 64), format)
    assert message(lambda: load_image(data[: int(len(data) * kept)])) == "<bytes>: truncated"


@pytest.mark.parametrize(
    ("whole", "cut"),
    [
        ({257: 4, 278: 4, 273: 8}, {257: 5}),
        ({257: 4, 273: 8}, {257: 600, 278: 4}),
        ({257: 4, 278: 4, 273: 8, 274: 6}, {257: 5}),
        ({257: 4, 278: 2**32 - 1, 273: 8}, {278: 3}),
        ({257: 4, 278: 4, 273: 8, 284: 2}, {262: 2, 277: 3}),
        ({257: 16, 322: 16, 323: 16, 324: 8}, {257: 17}),
        ({257: 16, 322: 16, 323: 16, 324: 8}, {256: 17}),
    ],
    ids=[
        "a strip",
        "many strips",
        "a strip of a turned image",
        "a last strip",
        "planes",
        "a row of tiles",
        "a column",
    ],
)
def test_a_tiff_without_all_its_strips_or_tiles_is_truncated(whole, cut):
    grey = {256: 16, 258: 8, 259: 1, 262: 1, 277: 1} | whole
    assert (load_image(tiff(bytes([7]) * 256, grey)) == 7).all()
    assert message(lambda: load_image(tiff(bytes([7]) * 256, grey | cut))) == "<bytes>: truncated"


@pytest.mark.parametrize(("number", "kind"), [(0, 4), (4, 11)])
def test_a_tiff_with_strips_of_no_height_is_damaged(number, kind):
    numbers = {256: 16, 257: 4, 258: 8, 259: 8, 262: 1, 277: 1, 278: number, 273: 8, 279: 64}
    text = message(lambda: load_image(tiff(zlib.compress(bytes(64)), numbers, {278: kind})))
    assert text == "<bytes>: damaged (the size of its strips or tiles is not a number)"


@pytest.mark.parametrize(("format", "missing"), [("JPEG", 2), ("PNG", 8), ("PNG", 12)])
def test_truncated_by_the_last_bytes(format, missing):
    assert message(lambda: load_image(encoded(noise(), format)[:-missing])) == "<bytes>: truncated"


def test_truncated_webp():
    data = encoded(noise(), "WEBP")
    assert message(lambda: load_image(data[: len(data) // 2])).startswith("<bytes>: damaged")


def test_a_truncated_file_changes_nothing_for_other_threads():
    data = encoded(noise(64, 64), "PNG")
    message(lambda: load_image(data[: len(data) // 2]))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_jpeg_header_only():
    data = encoded(noise(), "JPEG")
    assert message(lambda: load_image(data[: data.index(b"\xff\xda")])) == "<bytes>: truncated"


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_png_with_a_bad_checksum(kind):
    data = bytearray(encoded(noise(), "PNG"))
    at = data.index(kind) + 4 + int.from_bytes(data[data.index(kind) - 4 : data.index(kind)])
    data[at] ^= 1
    text = f"<bytes>: damaged (broken PNG file (bad header checksum in {kind}))"
    assert message(lambda: load_image(bytes(data))) == text


def test_png_with_a_bad_checksum_at_its_end():
    data = encoded(noise(), "PNG")
    assert message(lambda: load_image(data[:-1] + b"x")) == "<bytes>: damaged (bad checksum of IEND)"
    assert load_image(data + b"what other programs leave behind").shape == noise().shape


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_zero_size_in_the_header(size):
    text = "<bytes>: zero width or height, or no known pixel format"
    assert message(lambda: load_image(png(*size, b""))) == text
    jpeg = bytearray(encoded(noise(), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", *size)
    assert message(lambda: load_image(bytes(jpeg))) == text


def test_unknown_depth_in_the_header():
    assert "no known pixel format" in message(lambda: load_image(png(1, 1, b"\0\0", depth=7)))


# Trimaps


def test_trimap_levels():
    grey = np.array([[0, 84, 85, 128, 169, 170, 255]], np.uint8)
    expected = [[0, 0, 128, 128, 128, 255, 255]]
    for source in (grey, encoded(grey, "PNG"), np.repeat(grey[..., None], 3, axis=2), grey / 255.0):
        trimap = load_trimap(source, (1, 7))
        assert trimap.dtype == np.uint8
        assert trimap.tolist() == expected


@pytest.mark.parametrize("colour", [0, 255])
def test_what_is_transparent_in_a_trimap_is_background(colour):
    """Whatever colour is hidden there; half of it is half of white."""
    torch = pytest.importorskip("torch")
    trimap = np.array([[(255, 255, 255, 255), (colour, colour, colour, 0), (255, 255, 255, 128)]], np.uint8)
    tensor = torch.from_numpy(trimap).permute(2, 0, 1)
    for source in (trimap, encoded(trimap, "PNG"), Image.fromarray(trimap).convert("LA"), tensor):
        assert load_trimap(source, (1, 3)).tolist() == [[255, 0, 128]]


def test_trimap_of_another_size():
    assert message(lambda: load_trimap(np.zeros((4, 6), np.uint8), (8, 6)), InputError) == (
        "the trimap is 4x6 and the image 8x6 (HxW): resize the trimap to it"
    )


# Newer formats


@pytest.mark.parametrize("name", ["AVIF", "HEIF"])
def test_avif_and_heic(name):
    smooth = np.asarray(Image.fromarray(noise(4, 4)).resize((64, 48)))
    if name == "AVIF":
        data = encoded(smooth, name, quality=95)
    else:
        buffer = io.BytesIO()
        heif = pytest.importorskip("pillow_heif")
        heif.from_pillow(Image.fromarray(smooth)).save(buffer, quality=95)
        data = buffer.getvalue()
    result = load_image(data)
    assert_one_form(result, 48, 64)
    assert np.abs(result.astype(int) - smooth).mean() < 4
    message(lambda: load_image(data[: len(data) // 2]))
    with pytest.raises(ImageTooLarge):
        load_image(data, max_pixels=100)


def test_heic_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    text = message(lambda: load_image(b"\0\0\0\x18ftypheic" + bytes(20)))
    assert "pillow-heif" in text
    assert "pip install" in text


def test_what_phones_call_50_megapixels_fits():
    assert load_image(png(8192, 6144, (b"\0" + bytes(1024)) * 6144, depth=1, colour_type=0)).shape[:2] == (
        6144,
        8192,
    )
