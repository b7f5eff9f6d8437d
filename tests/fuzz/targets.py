"""What is fed with mutations: a function of bytes, and its seeds."""

import asyncio
import io
import json
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from PIL import Image

from jointmat.errors import JointmatError
from jointmat.io.image import load_alpha, load_image
from jointmat.weights import _parse_card, read_config, read_training
from tests.io.images import noise, png, png16, tiff


class Target(NamedTuple):
    """One kind of input from outside."""

    read: Callable[[bytes], object]
    seeds: list[bytes]


def targets() -> dict[str, Target]:
    """Those that can run with what is installed."""
    found = {"images": Target(read_image, image_seeds()), "cards": Target(read_card, card_seeds())}
    others = {
        "weights": (read_weights, weight_seeds),
        "onnx": (read_onnx, onnx_seeds),
        "videos": (read_video, video_seeds),
        "forms": (read_form, form_seeds),
    }
    for name, (read, seeds) in others.items():
        with suppress(ModuleNotFoundError):
            found[name] = Target(read, seeds())
    return found


def read_image(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for read in (load_image, load_alpha):
            with suppress(JointmatError):
                read(data)


def image_seeds() -> list[bytes]:
    """One small file of every format and of the ways to store in it."""
    smooth = Image.fromarray(noise(6, 5)).resize((40, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    variants = [
        ("JPEG", "RGB", {"exif": exif}),
        ("JPEG", "CMYK", {}),
        ("JPEG", "L", {"progressive": True}),
        ("PNG", "RGBA", {"exif": exif, "dpi": (72, 72)}),
        ("PNG", "P", {}),
        ("PNG", "1", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("WEBP", "RGB", {}),
        ("BMP", "P", {}),
        ("BMP", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "L", {}),
        ("TIFF", "CMYK", {"compression": "tiff_adobe_deflate"}),
        ("GIF", "P", {}),
        ("PPM", "RGB", {}),
        ("AVIF", "RGB", {}),
    ]
    seeds = []
    for format, mode, options in variants:
        buffer = io.BytesIO()
        smooth.convert(mode).save(buffer, format, **options)
        seeds.append(buffer.getvalue())
    grey = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 277: 1, 273: 8, 34675: 77}
    seeds += [b"P3 2 2 255\n# a comment\n" + b"7 " * 12, tiff(bytes(256), grey)]
    seeds += [png(4, 4, bytes(20), colour_type=3), png16(np.full((3, 3, 3), 300, np.uint16))]
    return seeds


def read_card(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        path.write_bytes(data)
        _parse_card(path)


def card_seeds() -> list[bytes]:
    card = {"name": "a", "config": {"encoder": "x", "width": [1, 2.5]}, "sha256": {"a.onnx": "0" * 64}}
    return [json.dumps(card).encode(), b"[" * 200_000, b'{"a": ' * 2000, '{"naïve": "ß"}'.encode("latin-1")]


def read_weights(data: bytes) -> None:
    """The header, which says what to build."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.safetensors")
        path.write_bytes(data)
        read_config(path)
        read_training(path)


def weight_seeds() -> list[bytes]:
    from safetensors.numpy import save

    from jointmat.config import ModelConfig, to_mapping

    metadata = {"format": "jointmat", "config": json.dumps(to_mapping(ModelConfig())), "training": "{}"}
    tensors = {"encoder.a": np.ones((2, 3), np.float32), "mean": np.zeros(3, np.float32)}
    return [save(tensors, metadata), save(tensors, {"format": "jointmat", "config": "{}"}), save(tensors)]


def read_onnx(data: bytes) -> None:
    from jointmat.runtime.onnx import OnnxBackend

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.onnx")
        path.write_bytes(data)
        OnnxBackend(path, threads=1).run(np.zeros((1, 3, 64, 64), np.float32))


def onnx_seeds() -> list[bytes]:
    from tests.fakes import brightness_model

    with tempfile.TemporaryDirectory() as folder:
        return [brightness_model(Path(folder, "a.onnx")).read_bytes()]


def read_video(data: bytes) -> None:
    from jointmat.io.video.reader import VideoReader

    with VideoReader(io.BytesIO(data)) as reader:
        for _ in reader.items():
            pass


def video_seeds() -> list[bytes]:
    import av  # noqa: F401  (so that it is missed where it is not installed)

    from tests.video.clips import STEP, write

    kinds = {"mp4": {"sound": "aac"}, "mkv": {"rotation": 90}, "avi": {"codec": "mpeg4"}, "mov": {}}
    with tempfile.TemporaryDirectory() as folder:
        return [
            write(Path(folder, f"a.{kind}"), range(0, 3 * STEP, STEP), **how).read_bytes()
            for kind, how in kinds.items()
        ]


def read_form(data: bytes) -> None:
    """As the server does, to the strokes over a trimap."""
    from jointmat.serve.limits import Limits
    from jointmat.serve.memory import Memory
    from jointmat.serve.photos import _parsed
    from jointmat.serve.problems import Problem
    from jointmat.serve.strokes import painted
    from jointmat.serve.uploads import UploadRequest

    state = SimpleNamespace(limits=Limits(), memory=Memory(Limits()))
    headers = [(b"content-type", b"multipart/form-data; boundary=edge")]
    scope = {"type": "http", "method": "POST", "headers": headers, "app": SimpleNamespace(state=state)}

    async def receive():
        return {"type": "http.request", "body": data, "more_body": False}

    async def form():
        return await UploadRequest(scope, receive).form()

    with suppress(Problem):
        for name, value in asyncio.run(form()).items():
            strokes = _parsed(value) if name == "strokes" and isinstance(value, str) else ()
            painted(np.zeros((30, 40), np.uint8), strokes)


def form_seeds() -> list[bytes]:
    import jointmat.serve.uploads  # noqa: F401  (likewise)

    strokes = [{"label": "keep", "radius": 3.5, "points": [[1, 2], [30.5, 20]]}]
    strokes += [{"label": "unsure", "radius": 1, "points": [[0, 0]]}]
    head = b'--edge\r\nContent-Disposition: form-data; name="'
    file = head + b'image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n' + png(4, 4, bytes(20)) + b"\r\n"
    text = head + b'strokes"\r\n\r\n' + json.dumps(strokes).encode() + b"\r\n"
    return [file + text + b"--edge--\r\n", text + b"--edge--\r\n", file + b"--edge--\r\n"]
