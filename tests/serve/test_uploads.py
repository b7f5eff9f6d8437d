"""Bodies that are too large, too slow or not what they should be, and none of them on the disk."""

import asyncio
import socket
import struct
import sys
import tempfile
import time
import tracemalloc
import zlib
from http.client import HTTPConnection

import numpy as np
import pytest
from starlette.datastructures import UploadFile

from jointmat.serve import uploads
from tests.serve.conftest import encoded, refused, until

_FORM = "multipart/form-data; boundary=edge"


def head(length=None, expect=False):
    lines = ["POST /v1/alpha HTTP/1.1", "Host: localhost", f"Content-Type: {_FORM}"]
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    if expect:
        lines.append("Expect: 100-continue")
    return "\r\n".join([*lines, "", ""]).encode()


def talk(serving, data):
    """Send bytes, and return all that comes back until the server hangs up."""
    with socket.create_connection(("127.0.0.1", serving.port), timeout=15) as line:
        line.sendall(data)
        return b"".join(iter(lambda: line.recv(65536), b""))


def png_that_claims(width, height):
    """A tiny file with a huge size in its header."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def test_a_length_over_the_limit_is_refused_before_the_body_is_sent(serve):
    serving = serve(body_bytes=10_000)
    answer = talk(serving, head(10_001, expect=True))
    assert answer.startswith(b"HTTP/1.1 413")  # and no "100 Continue" before it
    assert b"got 10001 bytes, the limit is 10000: send a smaller file" in answer


def test_who_sends_too_much_all_the_same_gets_to_see_why(serve, photo):
    serving = serve(body_bytes=200_000)
    refused(serving.post("/v1/alpha", files={"image": bytes(300_000)}), 413, "the limit is 200000")
    assert serving.post("/v1/alpha", files=photo).status_code == 200


def test_a_client_that_sends_all_of_a_large_body_before_it_reads_sees_why_it_was_refused(serve):
    serving = serve(body_bytes=200_000)
    line = HTTPConnection("127.0.0.1", serving.port, timeout=20)
    line.request("POST", "/v1/alpha", bytes(60_000_000), {"Content-Type": _FORM})
    answer = line.getresponse()
    assert answer.status == 413
    assert b"the limit is 200000" in answer.read()
    line.close()


def test_a_body_without_length_is_refused_once_it_is_over_the_limit(serve):
    serving = serve(body_bytes=200_000)

    def endless():
        yield b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        for _ in range(9):
            yield bytes(40_000)

    answer = serving.post("/v1/alpha", content=endless(), headers={"Content-Type": _FORM})
    refused(answer, 413, "got more than 200000 bytes")
    until(lambda: serving.app.state.memory.held == 0)


def test_a_slow_upload_ends_with_a_time_out(serve, monkeypatch):
    monkeypatch.setattr(uploads, "_DISCARD_SECONDS", 0.1)
    serving = serve(upload_seconds=0.3)
    start = time.monotonic()
    answer = talk(serving, head(1000) + b"--edge\r\n")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not arrive within 0.3 s" in answer
    assert time.monotonic() - start < 10
    until(lambda: serving.app.state.memory.held == 0)


def test_uploads_that_fill_the_memory_send_others_away(serve):
    serving = serve(body_bytes=100_000, held_bytes=150_000)
    with socket.create_connection(("127.0.0.1", serving.port)) as first:
        first.sendall(
            head(100_000) + b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        )
        first.sendall(bytes(80_000))
        until(lambda: serving.app.state.memory.held >= 80_000)
        answer = serving.post("/v1/alpha", files={"image": bytes(90_000)})
        refused(answer, 503, "other uploads and answers fill the memory", "try again in")
        assert int(answer.headers["retry-after"]) >= 1
    until(lambda: serving.app.state.memory.held == 0)  # the first has left: its memory is given back


@pytest.mark.parametrize("kind", ["application/json", "image/jpeg", "application/x-www-form-urlencoded", None])
def test_another_content_type_is_refused(usual, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    refused(usual.post("/v1/alpha", content=b"image=x", headers=headers), 415, "multipart/form-data")


def test_a_form_that_cannot_be_parsed_is_refused(usual):
    for kind, body in (
        ("multipart/form-data", b"x"),
        (_FORM, b"no form at all"),
        (_FORM, b"--edge\r\n\r\n\r\nx"),
    ):
        refused(usual.post("/v1/alpha", content=body, headers={"Content-Type": kind}), 400, "multipart/form-data")


def test_fields_are_missing_unknown_given_twice_or_text(usual, photo):
    refused(
        usual.post("/v1/alpha", files={"photo": b"x"}), 422, "image: missing", "photo: there is no such field"
    )
    refused(usual.post("/v1/alpha", files={**photo, "model": (None, "../lite.onnx")}), 422, "model: there is no")
    twice = [("image", photo["image"]), ("image", photo["image"])]
    refused(usual.post("/v1/alpha", files=twice), 422, "image: given more than once")
    refused(usual.post("/v1/alpha", files={"image": (None, "text")}), 422, "image: got text, expected a file")
    refused(usual.post("/v1/alpha", files={**photo, "url": (None, "http://localhost/")}), 422, "url: there is no")


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 400, "image: empty file"),
        (b"not an image", 400, "image: not an image"),
        (b"%PDF-1.7", 400, "image: format not allowed: got PDF"),
        (encoded(np.zeros((30, 30, 3), np.uint8))[:60], 400, "image: truncated"),
        (
            png_that_claims(20_000, 20_000),
            413,
            "image: got 20000x20000 = 400000000 pixels, the limit is 25000000",
        ),
    ],
)
def test_files_that_are_no_images_are_refused(usual, data, status, words):
    line = refused(usual.post("/v1/alpha", files={"image": data}), status, words)
    assert "max_pixels" not in line
    assert ("send a smaller" in line) == (status == 413)


def test_a_background_is_held_to_the_same_limits(usual, photo):
    huge = {**photo, "background_image": png_that_claims(20_000, 20_000)}
    refused(usual.post("/v1/composite", files=huge), 413, "background_image: got 20000x20000")
    refused(
        usual.post("/v1/composite", files={**photo, "background_image": b"x"}), 400, "background_image: not an"
    )


def test_file_names_change_nothing(usual, photo):
    plain = usual.post("/v1/alpha", files=photo)
    for name in ("../../etc/passwd", "/etc/passwd", "C:\\boot.ini", "a\0b.png", "\r\nX-Evil: 1", "x" * 255):
        answer = usual.post("/v1/alpha", files={"image": (name, photo["image"])})
        assert answer.content == plain.content
        assert answer.headers["content-disposition"] == 'inline; filename="alpha.png"'
        assert "x-evil" not in answer.headers
    line = refused(usual.post("/v1/alpha", files={"image": ("/etc/passwd", b"x")}), 400)
    assert "passwd" not in line


def test_an_upload_that_waits_is_held_once():
    size = 4_000_000
    tracemalloc.start()
    try:
        with tempfile.SpooledTemporaryFile(sys.maxsize) as form:
            for _ in range(size // 50_000):
                form.write(bytes(50_000))
            form.seek(0)
            data = asyncio.run(uploads.received(UploadFile(form)))
            held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1.1 * size
    assert data == bytes(size)


def test_no_upload_touches_the_disk(serve, rng, monkeypatch, tmp_path):
    def rollover(self):
        raise AssertionError("an upload went to the disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rollover)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    serving = serve()
    large = encoded(rng.integers(0, 256, (1000, 1000, 3), np.uint8))
    assert len(large) > 2_000_000
    assert serving.post("/v1/alpha", files={"image": large}).status_code == 200
    until(lambda: serving.app.state.memory.held == 0)  # the client may see the end first
    assert list(tmp_path.iterdir()) == []
