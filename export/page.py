"""The server's page without a server: a folder for any web host; the network runs in the visitor's browser.

It is the same page, with export/browser/engine.js in place of the file that calls the server's API.
Nothing is loaded from another host.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jointmat import __version__
from jointmat.assets import PORTRAIT
from jointmat.backgrounds import DRAWN, draw
from jointmat.errors import ExportError
from jointmat.io.write import save_image
from jointmat.runtime.files import exported_file
from jointmat.runtime.onnx import OnnxBackend

ROOT = Path(__file__).parent
RUNTIME = ROOT / "node" / "node_modules" / "onnxruntime-web" / "dist"
_PAGE = ROOT.parent / "jointmat" / "serve" / "page"
_OF_RUNTIME = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
_BACKGROUND_SIZE = 720, 960


def export_page(model: str | Path, folder: Path, runtime: Path = RUNTIME) -> Iterator[str]:
    """Write index.html and page/, with the model and ONNX Runtime for browsers. Yields what to print.

    Parameters
    ----------
    model : name, or path of NAME.onnx
    runtime : the folder dist/ of npm's onnxruntime-web

    Raises
    ------
    WeightsError
        if there is no such model.
    ExportError
        if there is no such runtime.
    """
    source = exported_file(model, "fp32")
    missing = [name for name in _OF_RUNTIME if not (runtime / name).is_file()]
    if missing:
        raise ExportError(f"{runtime}: no {missing[0]}: npm install --ignore-scripts --prefix export/node")
    parts = folder / "page"
    (parts / "backgrounds").mkdir(parents=True, exist_ok=True)
    shutil.copy(_PAGE / "index.html", folder)
    for path in (*_PAGE.glob("*.*"), *(ROOT / "browser").iterdir(), *(runtime / name for name in _OF_RUNTIME)):
        shutil.copy(path, parts)  # in this order: one engine.js takes the place of the other
    (parts / "index.html").unlink()
    shutil.copy(source, parts / "model.onnx")
    shutil.copy(PORTRAIT, parts / "sample.jpg")
    for name in DRAWN:
        save_image(parts / "backgrounds" / f"{name}.jpg", draw(name, *_BACKGROUND_SIZE))
    load = sum((parts / name).stat().st_size for name in ("model.onnx", *_OF_RUNTIME[:3]))
    info = {
        "version": __version__,
        "backgrounds": list(DRAWN),
        "megabytes": round(load / 1e6),
        "trial": _trial(source),
    }
    (parts / "info.json").write_text(json.dumps(info), encoding="utf-8")
    yield f"{folder / 'index.html'}: put this folder on any web host"


def _trial(model: Path) -> dict[str, Any]:
    """The network's answer for an image that worker.js can draw; a GPU with another answer is not used."""
    side, step = 64, 7919
    image = (np.arange(3 * side * side) * step % 256 / 255).astype(np.float32).reshape(1, 3, side, side)
    trimap = np.zeros_like(image)
    trimap[:, 1] = 1
    alpha = OnnxBackend(model).run(image, trimap).alpha.ravel()[: 4 * side]
    return {"side": side, "step": step, "alpha": alpha.round(4).tolist()}
