"""Every kind of picture, good or bad, gives one upright sRGB array or one clear error."""

import io
import os
import struct
import subprocess
import sys
import tempfile
import threading
import warnings
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, ImageCms, ImageFile, PsdImagePlugin

from jointmat.errors import ImageError, ImageTooLarge, InputError, InputTypeError, JointmatWarning
from jointmat.io import image
from jointmat.io.image import (
    decode_image,
    encode_image,
    from_array,
    from_pil,
    from_tensor,
    load_image,
    load_trimap,
    save_image,
    to_uint8,
)

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_SCAN = b"\xff\xda"


def noise(height=20, width=24, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def encoded(picture, format, **options):
    """Return an array or a Pillow image as the bytes of a file."""
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows, depth=8, colour_type=2, before_data=b""):
    """Return a PNG made by hand; `rows` are the unfiltered bytes with their filter byte."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    return PNG_MAGIC + header + before_data + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png16(values):
    """Return HxWxC uint16 as a 16-bit PNG; C = 1, 2, 3 or 4."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, rows, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels])


def assert_one_form(array, height, width):
    assert array.shape == (height, width, 3)
    assert array.dtype == np.uint8
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.owndata


def message(call, kind=ImageError):
    with pytest.raises(kind) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


# Sources


def test_every_source_of_one_picture_gives_the_same_array(tmp_path):
    torch = pytest.importorskip("torch")
    array = noise()
    data = encoded(array, "PNG")
    path = tmp_path / "picture.png"
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
    np.testing.assert_array_equal(decode_image(encoded(noise(), format)), noise())


def test_lossy_formats():
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    for format, options in [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95}), ("GIF", {})]:
        assert np.abs(decode_image(encoded(flat, format, **options)).astype(int) - flat).max() <= 3


def test_a_file_object_is_read_from_its_start():
    file = io.BytesIO(encoded(noise(), "PNG"))
    file.seek(0, io.SEEK_END)
    np.testing.assert_array_equal(decode_image(file), noise())


def test_a_stream_that_cannot_seek():
    reader, writer = os.pipe()
    data = encoded(noise(), "PNG")
    thread = threading.Thread(target=lambda: [os.write(writer, data), os.close(writer)])
    thread.start()
    with os.fdopen(reader, "rb") as stream:
        np.testing.assert_array_equal(decode_image(stream), noise())
    thread.join()


def test_an_object_that_can_only_read():
    class Response:
        read = io.BytesIO(encoded(noise(), "PNG")).read

    np.testing.assert_array_equal(decode_image(Response()), noise())


def test_a_text_file_object(tmp_path):
    text = "the file is open as text: open it in binary mode"
    assert message(lambda: load_image(io.StringIO("x")), InputTypeError) == f"<file>: {text}"
    with tempfile.NamedTemporaryFile("w+", dir=tmp_path) as wrapped:
        assert message(lambda: load_image(wrapped), InputTypeError) == f"{wrapped.name}: {text}"


def test_a_closed_file(tmp_path):
    path = tmp_path / "picture.png"
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


@pytest.mark.parametrize("source", [None, 3, [[0, 0], [0, 0]]])
def test_a_source_of_another_type(source):
    assert message(lambda: load_image(source), InputTypeError) == (
        f"got {type(source).__name__}, expected a path, bytes, a binary file, a PIL image, a numpy array "
        "or a torch tensor"
    )


@pytest.mark.parametrize("color", ["rgb", "GBR", None])
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
    assert message(lambda: load_image(tmp_path)) == f"{tmp_path}: not a regular file"


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


# Files that are not pictures


def test_empty_file(tmp_path):
    path = tmp_path / "empty.png"
    path.touch()
    assert message(lambda: load_image(path)) == f"{path}: empty file"
    assert message(lambda: load_image(b"")) == "<bytes>: empty file"


def test_text_with_the_name_of_a_picture(tmp_path):
    path = tmp_path / "text.png"
    path.write_text("This is not a picture.\n")
    assert message(lambda: load_image(path)) == (
        f"{path}: not an image: expected one of JPEG, PNG, WebP, BMP, TIFF, GIF, PPM"
    )


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        ("EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"),
        ("PDF", b"%PDF-1.7\n"),
        ("SVG", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("SVG", b'<?xml version="1.0"?>\n<!-- drawn by hand -->\n<svg/>'),
        ("PSD", b"8BPS\0\1" + bytes(20)),
        ("HEIC", b"\0\0\0\x18ftypheic" + bytes(20)),
        ("AVIF", b"\0\0\0\x18ftypavif" + bytes(20)),
        ("JPEG 2000", b"\0\0\0\x0cjP  \r\n\x87\n"),
        ("ICO", b"\0\0\1\0\1\0" + bytes(20)),
        ("ZIP", b"PK\3\4" + bytes(20)),
    ],
)
def test_formats_that_are_not_allowed(kind, head):
    expected = "JPEG, PNG, WebP, BMP, TIFF, GIF, PPM"
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
    picture = encoded(noise(), "PNG")
    np.testing.assert_array_equal(load_image(picture + b"PK\3\4 an archive"), noise())
    assert "got ZIP" in message(lambda: load_image(b"PK\3\4 an archive" + picture))
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
        "a strip of a turned picture",
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


@pytest.mark.parametrize(("format", "rest"), [("PNG", 0), ("JPEG", 128)])
def test_allow_truncated_keeps_what_was_decoded(format, rest):
    picture = np.full((256, 256, 3), noise(1, 1)[0, 0], np.uint8)
    picture[:] = np.random.default_rng(0).integers(0, 256, (256, 1, 1))
    picture[..., :] = picture[..., :1]
    options = {"compress_level": 0} if format == "PNG" else {"quality": 95}
    data = encoded(picture, format, **options)
    result = load_image(data[: len(data) // 2], allow_truncated=True)
    assert_one_form(result, 256, 256)
    assert np.abs(result[:64].astype(int) - picture[:64]).max() <= 12
    assert (result[-1] == rest).all()


def test_allow_truncated_completes_a_progressive_jpeg():
    picture = np.asarray(Image.fromarray(noise(8, 8)).resize((128, 128)))
    data = encoded(picture, "JPEG", quality=95, progressive=True)
    result = load_image(data[: len(data) * 3 // 4], allow_truncated=True)
    assert np.abs(result.astype(int) - picture).mean() < 10


@pytest.mark.parametrize("format", ["TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_allow_truncated_needs_the_whole_of_a_tiff_or_webp(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(noise(12, 17), format, exif=exif)
    np.testing.assert_array_equal(load_image(data, allow_truncated=True), load_image(data))
    text = message(lambda: load_image(data[: len(data) * 3 // 4], allow_truncated=True))
    assert text == message(lambda: load_image(data[: len(data) * 3 // 4]))


def test_allow_truncated_changes_nothing_for_other_threads():
    data = encoded(noise(64, 64), "PNG")
    load_image(data[: len(data) // 2], allow_truncated=True)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(data[: len(data) // 2])).load()


def test_allow_truncated_needs_some_pixels():
    assert (
        message(lambda: load_image(encoded(noise(), "JPEG")[:100], allow_truncated=True)) == "<bytes>: truncated"
    )


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


# Size limits


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
        f"{path}: got 20000x20000 = 400000000 pixels, the limit is 50000000: "
        "pass a higher max_pixels= to accept it"
    )


def test_a_real_picture_of_144_megapixels():
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


def tiff(data, numbers, kinds=()):
    """Return a TIFF made by hand of its data, at offset 8, and its tags; `kinds` are the types of some."""
    entries = (struct.pack("<HHII", tag, dict(kinds).get(tag, 4), 1, numbers[tag]) for tag in sorted(numbers))
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return head + data + struct.pack("<H", len(numbers)) + b"".join(entries) + bytes(4)


def tiff_of_tiles(kind=4):
    """Return a grey TIFF of 16x16 pixels whose one tile has 8192x8192, deflated; `kind` is of its size's tags."""
    tile = zlib.compress(bytes(8192 * 8192))
    numbers = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: 8192, 323: 8192, 324: 8, 325: len(tile)}
    return tiff(tile, numbers, {322: kind, 323: kind})


def test_tiles_that_are_larger_than_the_picture():
    text = message(lambda: load_image(tiff_of_tiles()), ImageTooLarge)
    assert text.startswith("<bytes>: a tile: got 8192x8192 = 67108864 pixels, the limit is 50000000: ")
    assert load_image(tiff_of_tiles(), max_pixels=8192**2).shape == (16, 16, 3)
    text = message(lambda: load_image(tiff_of_tiles(kind=1)))
    assert text == "<bytes>: damaged (the size of its tiles is not a number)"


@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_jpeg_with_too_many_scans(where, monkeypatch):
    """libjpeg walks the whole picture for each of them."""
    data = encoded(noise(40, 40), "JPEG", progressive=True)
    scan = data.rindex(JPEG_SCAN)
    monkeypatch.setattr(image, "_WINDOW_BYTES", 100 + where)  # some end before, some in, some after a marker
    monkeypatch.setattr(image, "_MOST_WALKED", 500 * 40 * 40)
    scans = data.count(JPEG_SCAN)
    most = data[:scan] + (500 - scans) * data[scan:-2] + data[scan:]
    assert load_image(most).shape == (40, 40, 3)
    for options in ({}, {"allow_truncated": True}):
        text = message(partial(load_image, most[:-2] + data[scan:], **options))
        assert text == "<bytes>: got 501 scans, expected at most 500: save it again as baseline JPEG"


def test_only_the_scans_of_the_picture_itself_count(monkeypatch):
    """Neither those of a preview nor what looks like one in a film that a phone puts behind its photo."""
    monkeypatch.setattr(image, "_MOST_WALKED", 0)
    data = encoded(noise(), "JPEG")
    expected = load_image(data)
    preview = b"Exif\0\0" + 50 * data
    app1 = b"\xff\xe1" + struct.pack(">H", 2 + len(preview)) + preview
    film = b"\0\0\0\x18ftypmp42" + 50 * JPEG_SCAN
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JointmatWarning)  # of the EXIF data
        for options in ({}, {"allow_truncated": True}):
            np.testing.assert_array_equal(load_image(data[:2] + app1 + data[2:] + film, **options), expected)


@pytest.mark.parametrize(
    "disguise", [b"", b"\xff\xff", b"\xff\0", b"\xff\x02\xff\xff", b"\xff\xd3", b"\xff\xfe\0\0"]
)
def test_scans_cannot_hide(disguise, monkeypatch):
    """Behind fill bytes, stuffing, a marker that does not exist, a restart or an impossible length."""
    monkeypatch.setattr(image, "_MOST_WALKED", 0)
    data = encoded(noise(40, 40), "JPEG", progressive=True)
    scan = data.rindex(JPEG_SCAN)
    text = message(lambda: load_image(data[:-2] + 20 * (disguise + data[scan:-2]) + data[-2:]))
    assert text.endswith("expected at most 20: save it again as baseline JPEG")


def test_usual_scans_are_accepted_whatever_the_size(monkeypatch):
    monkeypatch.setattr(image, "_MOST_WALKED", 0)
    data = encoded(noise(40, 40), "JPEG", progressive=True)
    assert data.count(JPEG_SCAN) > 5
    assert load_image(data).shape == (40, 40, 3)


@pytest.mark.parametrize("where", ["before the data", "after the data"])
@pytest.mark.parametrize(("format", "segment"), [("JPEG", b"\xff\xfe\0\2"), ("PNG", chunk(b"prVt", b""))])
def test_a_file_of_too_many_segments_is_refused_before_they_are_parsed(format, segment, where, monkeypatch):
    monkeypatch.setattr(image, "_MOST_SEGMENTS", 50)
    data = encoded(noise(), format)
    first = {"JPEG": 2, "PNG": 33}[format]  # behind the signature and a PNG's header
    last = -{"JPEG": 2, "PNG": 12}[format]
    at = first if where == "before the data" else last
    np.testing.assert_array_equal(load_image(data[:at] + 30 * segment + data[at:]), load_image(data))
    for options in ({}, {"allow_truncated": True}):
        text = message(partial(load_image, data[:at] + 50 * segment + data[at:], **options))
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
    assert text.endswith("pass a higher max_pixels= and set a higher PIL.Image.MAX_IMAGE_PIXELS to accept it")


# Modes


def palette_picture(**info):
    picture = Image.new("P", (1, 1), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.info.update(info)
    return picture


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.new("1", (1, 1), 1), (255, 255, 255)),
        (Image.new("L", (1, 1), 100), (100, 100, 100)),
        (Image.new("LA", (1, 1), (100, 255)), (100, 100, 100)),
        (Image.new("LA", (1, 1), (100, 0)), (255, 255, 255)),
        (Image.new("LA", (1, 1), (100, 51)).convert("La"), (224, 224, 224)),
        (palette_picture(), (10, 20, 30)),
        (palette_picture(transparency=1), (255, 255, 255)),
        (palette_picture(transparency=b"\0\x80"), (132, 137, 142)),
        (palette_picture().convert("PA"), (10, 20, 30)),
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
def test_every_mode(picture, expected):
    result = load_image(picture)
    assert_one_form(result, 1, 1)
    assert tuple(result[0, 0]) == expected


def test_lab():
    data = encoded(Image.frombytes("LAB", (1, 1), bytes([136, 20, 236])), "TIFF")
    # By the CIE formulas and Bradford from D50: (149.1, 115.7, 162.3).
    np.testing.assert_allclose(load_image(data)[0, 0], (149, 116, 162), atol=1)


def test_an_unknown_mode():
    picture = Image.new("RGB", (1, 1))
    picture._mode = "XYZ"
    assert message(lambda: from_pil(picture)) == "PIL image: mode XYZ unsupported"


@pytest.mark.parametrize(("low", "high"), [(-1, 5), (0, 65536)])
def test_mode_i_out_of_range(low, high):
    picture = Image.fromarray(np.array([[low, high]], np.int32))
    assert message(lambda: from_pil(picture), InputError) == (
        f"PIL image: values of mode I must be in 0..65535, got {low} to {high}"
    )


def test_mode_f_out_of_range():
    text = message(lambda: from_pil(Image.new("F", (1, 1), 200.0)), InputError)
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
    for allow_truncated in (False, True):
        result = load_image(png(2, 1, b"\0" + row, before_data=key, **options), allow_truncated=allow_truncated)
        assert result[0, 0].tolist() == opaque[0, 0].tolist() != [255, 255, 255]
        assert opaque[0, 1].tolist() != result[0, 1].tolist() == [255, 255, 255]


def test_16_bit_pgm():
    assert (load_image(b"P5 2 1 65535\n" + struct.pack(">HH", 0, 65535)) == [[[0] * 3, [255] * 3]]).all()


def test_colours_under_transparent_pixels_do_not_leak():
    visible, hidden = noise(), 255 - noise()
    alpha = np.zeros((20, 24, 1), np.uint8)
    alpha[:10] = 255
    first, second = (np.where(alpha > 0, visible, under) for under in (hidden, np.uint8(7)))
    pictures = [np.concatenate([rgb, alpha], axis=2) for rgb in (first, second)]
    for results in (
        [load_image(rgba) for rgba in pictures],
        [load_image(encoded(rgba, "PNG")) for rgba in pictures],
        [load_image(encoded(rgba, "WEBP", lossless=True, exact=True)) for rgba in pictures],
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
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, :16] = 255
    result = load_image(encoded(picture, "JPEG", exif=exif))
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
    picture = np.array([[(200, 100, 100), (128, 128, 128)]], np.uint8)
    result = load_image(encoded(picture, format, icc_profile=display_p3(), **options))
    # By the matrices of both spaces: (214.9, 92.6, 96.6).
    np.testing.assert_allclose(result, [[(215, 93, 97), (128, 128, 128)]], atol=1)


def test_a_profile_that_is_srgb_moves_no_level():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(load_image(encoded(noise(), "PNG", icc_profile=srgb)), noise())


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (63, 5), (64, 5), (65, 5), (200, 7)])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_every_row_of_a_picture_arrives(size, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = {1: noise(*size), 3: noise(*size)[::-1, ::-1], 6: np.rot90(noise(*size), -1)}[orientation]
    result = load_image(encoded(noise(*size), "PNG", exif=exif))
    assert_one_form(result, *expected.shape[:2])
    np.testing.assert_array_equal(result, expected)


def test_a_grey_picture_with_an_rgb_profile():
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


# Arrays


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((1, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((1, 1, 1), 7, np.uint8), (7, 7, 7)),
        (np.array([[(1, 2, 3)]], np.uint8), (1, 2, 3)),
        (np.array([[(1, 2, 3, 255)]], np.uint8), (1, 2, 3)),
        (np.array([[(1, 2, 3, 0)]], np.uint8), (255, 255, 255)),
        (np.array([[True]]), (255, 255, 255)),
        (np.array([[False]]), (0, 0, 0)),
        (np.array([[(0, 32896, 65535)]], np.uint16), (0, 128, 255)),
        (np.array([[(0, 32896, 65535)]], ">u2"), (0, 128, 255)),
        (np.array([[(0, 0.4, 1)]], np.float16), (0, 102, 255)),
        (np.array([[(-0.0005, 0.4, 1.0005)]], np.float32), (0, 102, 255)),
        (np.array([[(0, 0.4, 1, 0.5)]], np.float64), (127, 178, 255)),
    ],
)
def test_arrays(array, expected):
    result = load_image(array)
    assert_one_form(result, 1, 1)
    assert tuple(result[0, 0]) == expected


def test_every_uint16_is_rounded():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(from_array(values)[..., 0], np.rint(values / 257))


def test_bgr():
    assert tuple(from_array(np.array([[(1, 2, 3)]], np.uint8), color="BGR")[0, 0]) == (3, 2, 1)
    assert tuple(from_array(np.array([[(1, 2, 3, 255)]], np.uint8), color="BGR")[0, 0]) == (3, 2, 1)
    assert tuple(from_array(np.array([[7]], np.uint8), color="BGR")[0, 0]) == (7, 7, 7)


@pytest.mark.parametrize("view", [np.s_[:, ::2], np.s_[::-1], np.s_[:, ::-1, ::-1], np.s_[5:9, 5:9]])
def test_strided_views(view):
    array = noise()
    result = from_array(array[view])
    np.testing.assert_array_equal(result, array[view])
    assert_one_form(result, *array[view].shape[:2])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool, np.float32])
def test_the_result_is_a_copy_and_the_input_unchanged(channels, dtype):
    array = (noise(channels=channels) > 127).astype(dtype)
    before = array.copy()
    array.flags.writeable = False
    result = load_image(array)
    assert not np.shares_memory(result, array)
    result[:] = 99
    np.testing.assert_array_equal(array, before)


def test_a_pillow_image_is_unchanged():
    picture = Image.fromarray(noise())
    load_image(picture)[:] = 99
    np.testing.assert_array_equal(np.asarray(picture), noise())


@pytest.mark.parametrize(
    "dtype", ["int8", "int32", "int64", "uint32", "uint64", "object", "complex64", "datetime64[s]"]
)
def test_dtypes_that_are_refused(dtype):
    text = message(lambda: from_array(np.zeros((2, 2, 3), dtype)), InputTypeError)
    assert text == f"array: got dtype {dtype}, expected one of uint8, uint16, bool, float16, float32, float64"


def test_channels_first():
    assert message(lambda: from_array(np.zeros((3, 48, 64))), InputError) == (
        "array: expected HxWx3, got 3xHxW (3, 48, 64): pass array.transpose(1, 2, 0)"
    )


@pytest.mark.parametrize("shape", [(), (5,), (5, 6, 2), (5, 6, 5)])
def test_other_shapes(shape):
    assert message(lambda: from_array(np.zeros(shape, np.uint8)), InputError) == (
        f"array: expected HxW, HxWx1, HxWx3 or HxWx4, got shape {shape}"
    )


def test_a_batch():
    text = message(lambda: from_array(np.zeros((2, 5, 6, 3))), InputError)
    assert text == "array: expected HxWx3, got a batch (2, 5, 6, 3): pass a list of pictures"


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (0, 0)])
def test_zero_size(shape):
    text = message(lambda: from_array(np.zeros(shape)), InputError)
    assert text == f"array: zero width or height: {shape[1]}x{shape[0]}"


def test_values_that_are_not_finite_are_counted():
    array = np.zeros((4, 4, 3), np.float32)
    array[0, 0] = np.nan
    array[1, 1, 0], array[2, 2, 0] = np.inf, -np.inf
    assert message(lambda: from_array(array), InputError) == (
        "array: got 5 NaN or infinite values, expected finite ones in [0, 1]"
    )


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-1, 1), (0, 1.01)])
def test_floats_out_of_range(low, high):
    assert message(lambda: from_array(np.array([[low, high]], np.float64)), InputError) == (
        f"array: got values from {low} to {high}, expected floats in [0, 1]: "
        "divide by the full scale, or pass uint8"
    )


# Tensors


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_float_tensors(dtype):
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([0, 0.5, 1]).reshape(3, 1, 1).to(getattr(torch, dtype)).requires_grad_()
    result = load_image(tensor)
    assert_one_form(result, 1, 1)
    assert tuple(result[0, 0]) == (0, 128, 255)
    assert tensor.requires_grad


@pytest.mark.parametrize("shape", [(2, 5), (1, 2, 5), (3, 2, 5), (4, 2, 5), (1, 3, 2, 5)])
def test_tensor_shapes(shape):
    torch = pytest.importorskip("torch")
    assert_one_form(load_image(torch.zeros(shape, dtype=torch.uint8)), 2, 5)


def test_a_tensor_is_copied():
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(3, 4, 5, dtype=torch.uint8)
    load_image(tensor)[:] = 99
    assert tensor.sum() == 0


def test_a_tensor_that_is_negated_when_read():
    torch = pytest.importorskip("torch")
    tensor = torch.full((3, 1, 1), -0.4)._neg_view()
    assert tuple(load_image(tensor)[0, 0]) == (102, 102, 102)


def test_tensors_without_values_in_rows_are_refused():
    torch = pytest.importorskip("torch")
    zeros = torch.zeros(3, 2, 2)
    assert message(lambda: from_tensor(zeros.to_sparse()), InputTypeError) == (
        "tensor: got layout sparse_coo, expected strided: pass tensor.to_dense()"
    )
    assert message(lambda: load_image(zeros.to("meta")), InputTypeError) == (
        "tensor: got device meta, which holds no values: pass a tensor on a real device"
    )


def test_bgr_tensor():
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([1, 2, 3], dtype=torch.uint8).reshape(3, 1, 1)
    assert tuple(load_image(tensor, color="BGR")[0, 0]) == (3, 2, 1)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((2, 3, 5, 6), "expected 3xHxW, got a batch (2, 3, 5, 6): pass a list of pictures"),
        ((5, 6, 3), "expected 3xHxW, got HxWx3 (5, 6, 3): pass tensor.permute(2, 0, 1)"),
        ((5, 6, 7), "expected HxW, 1xHxW, 3xHxW or 4xHxW, got shape (5, 6, 7)"),
        ((5,), "expected HxW, 1xHxW, 3xHxW or 4xHxW, got shape (5,)"),
    ],
)
def test_tensor_shapes_that_are_refused(shape, text):
    torch = pytest.importorskip("torch")
    assert message(lambda: from_tensor(torch.zeros(shape)), InputError) == f"tensor: {text}"


@pytest.mark.parametrize("dtype", ["int64", "int32", "complex64"])
def test_tensor_dtypes_that_are_refused(dtype):
    torch = pytest.importorskip("torch")
    text = message(lambda: from_tensor(torch.zeros(3, 2, 2, dtype=getattr(torch, dtype))), InputTypeError)
    assert text.startswith(f"tensor: got dtype {dtype}, expected one of uint8, bool, float16, bfloat16")


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
        "the trimap is 4x6 and the picture 8x6 (HxW): resize the trimap to it"
    )


# Writing


@pytest.mark.parametrize("extension", ["png", "PNG", "webp", "tif", "tiff"])
@pytest.mark.parametrize("shape", [(20, 24), (20, 24, 1), (20, 24, 3), (20, 24, 4)])
def test_lossless_round_trip(tmp_path, extension, shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / f"picture.{extension}"
    save_image(path, array)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[1 if len(shape) == 2 else shape[2]]
    np.testing.assert_array_equal(np.asarray(Image.open(path).convert(mode)), array.squeeze())


def test_jpeg_is_close(tmp_path):
    array = np.asarray(Image.fromarray(noise(4, 4)).resize((32, 32)))
    save_image(tmp_path / "picture.jpg", array)
    assert np.abs(load_image(tmp_path / "picture.jpg").astype(int) - array).mean() < 3


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
    monkeypatch.setattr(Image.Image, "save", lambda *args, **options: pytest.fail("it was encoded"))
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
