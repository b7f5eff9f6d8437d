"""Exported files run unchanged in onnxruntime-web (WebAssembly), with the alpha that Python computes."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from export.half import to_half
from tests.export.test_frames import frame
from tests.tiny import pictures

SCRIPT = Path(__file__).parents[2] / "export" / "web" / "alpha.mjs"
WEIGHTS = Path(__file__).parents[2] / "weights"


@pytest.fixture(scope="module")
def in_browser(tmp_path_factory):
    """(file, inputs by name) → outputs by name, as WebAssembly computes them."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    probe = f"require('module').createRequire({json.dumps(str(SCRIPT))})('onnxruntime-web/wasm')"
    if subprocess.run(["node", "-e", probe], capture_output=True, check=False).returncode:
        pytest.skip("onnxruntime-web is not installed: npm install --prefix export/web")
    folder = tmp_path_factory.mktemp("web")

    def run(path, inputs):
        given, answer = folder / "in.json", folder / "out.json"
        given.write_text(json.dumps({name: encoded(value) for name, value in inputs.items()}))
        command = ["node", SCRIPT, path, given, answer]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return {name: decoded(value) for name, value in json.loads(answer.read_text()).items()}

    return run


def encoded(array):
    return {
        "type": array.dtype.name,
        "dims": array.shape,
        "data": base64.b64encode(np.ascontiguousarray(array).tobytes()).decode(),
    }


def decoded(tensor):
    return np.frombuffer(base64.b64decode(tensor["data"]), tensor["type"]).reshape(tensor["dims"])


def in_python(path, inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def assert_same(found, expected, atol=1e-4):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=atol, err_msg=name)


def test_the_exported_file(in_browser, exported):
    inputs = {"image": pictures(2, 64, 96).numpy()}
    assert_same(in_browser(exported.onnx, inputs), in_python(exported.onnx, inputs))


def test_the_file_for_given_trimaps(in_browser, exported):
    inputs = {"image": pictures(1, 64, 96).numpy(), "trimap": pictures(1, 64, 96, seed=1).softmax(dim=1).numpy()}
    assert_same(in_browser(exported.given_trimap, inputs), in_python(exported.given_trimap, inputs))


def test_the_file_for_frames(in_browser, frames_file):
    inputs = {"frames": frame(70, 131)}
    assert_same(in_browser(frames_file, inputs), in_python(frames_file, inputs))


def test_the_file_in_half_precision(in_browser, exported, tmp_path):
    to_half(exported.onnx, tmp_path / "half.onnx")
    inputs = {"image": pictures(1, 64, 96).numpy()}
    assert_same(in_browser(tmp_path / "half.onnx", inputs), in_python(exported.onnx, inputs), atol=0.05)


@pytest.mark.parametrize("path", sorted(WEIGHTS.glob("lite*.onnx")), ids=lambda path: path.stem)
def test_the_weights_that_ship(in_browser, path):
    inputs = {"image": pictures(1, 96, 128).numpy()}
    if "trimap" in path.stem:
        inputs["trimap"] = pictures(1, 96, 128, seed=1).softmax(dim=1).numpy()
    atol = 0.05 if "int8" in path.stem else 1e-3  # bytes are rounded at other places
    assert_same(in_browser(path, inputs), in_python(path, inputs), atol)
