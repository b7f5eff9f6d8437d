"""Exported files run unchanged in onnxruntime-web (WebAssembly) and in transformers.js, with Python's alpha."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from export.half import to_half
from export.web import CONFIG, PREPROCESSOR, export_web
from jointmat.assets import PORTRAIT
from jointmat.errors import WeightsError
from jointmat.io.image import load_image
from jointmat.predictor import predict
from tests.tiny import feed, images

NODE = Path(__file__).parents[2] / "export" / "node"
SCRIPT = NODE / "alpha.mjs"
WEIGHTS = Path(__file__).parents[2] / "weights"


@pytest.fixture(scope="module")
def in_browser(tmp_path_factory):
    """(file, inputs by name) → outputs by name, as WebAssembly computes them."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    probe = f"require('module').createRequire({json.dumps(str(SCRIPT))})('onnxruntime-web/wasm')"
    if subprocess.run(["node", "-e", probe], capture_output=True, check=False).returncode:
        pytest.skip("onnxruntime-web is not installed: npm install --prefix export/node")
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
    inputs = feed(images(2, 64, 96))
    assert_same(in_browser(exported.onnx, inputs), in_python(exported.onnx, inputs))


def test_the_exported_file_with_a_given_trimap(in_browser, exported):
    inputs = feed(
        images(1, 64, 96),
        images(1, 64, 96, seed=1).softmax(dim=1),
        images(1, 64, 96, seed=2)[:, :1],
    )
    assert_same(in_browser(exported.onnx, inputs), in_python(exported.onnx, inputs))


def test_the_file_in_half_precision(in_browser, exported, tmp_path):
    to_half(exported.onnx, tmp_path / "half.onnx")
    inputs = feed(images(1, 64, 96))
    assert_same(in_browser(tmp_path / "half.onnx", inputs), in_python(exported.onnx, inputs), atol=0.05)


@pytest.mark.parametrize("path", sorted(WEIGHTS.glob("lite*.onnx")), ids=lambda path: path.stem)
def test_the_weights_that_ship(in_browser, path):
    inputs = feed(images(1, 96, 128), images(1, 96, 128, seed=1).softmax(dim=1))
    found, expected = in_browser(path, inputs), in_python(path, inputs)
    if "int8" not in path.stem:
        assert_same(found, expected, atol=1e-3)
    else:  # bytes are rounded at other places: single pixels of noise differ by much
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert np.abs(found[name] - value).mean() < 0.01, name


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `python -m export web` makes of the bundled model."""
    path = tmp_path_factory.mktemp("transformers") / "jointmat"
    printed = list(export_web("lite", path))
    assert len(printed) == 4 and "model.onnx" in printed[0]
    return path


def test_the_folder_says_what_transformers_js_asks_for(folder):
    assert json.loads((folder / "config.json").read_text()) == CONFIG
    assert json.loads((folder / "preprocessor_config.json").read_text()) == PREPROCESSOR
    for name in ("model.onnx", "model_quantized.onnx"):
        session = onnxruntime.InferenceSession(folder / "onnx" / name)
        assert [x.name for x in session.get_inputs()] == ["image"]
        assert [x.name for x in session.get_outputs()] == ["alpha"]


def test_a_model_that_is_not_there_leaves_no_files(tmp_path):
    with pytest.raises(WeightsError, match="nothing"):
        list(export_web("nothing", tmp_path / "folder"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("dtype", "precision"), [("fp32", "fp32"), ("q8", "int8")])
def test_transformers_js_loads_the_folder_unchanged(folder, tmp_path, dtype, precision):
    if shutil.which("node") is None or not (NODE / "node_modules" / "@huggingface").is_dir():
        pytest.skip("transformers.js is not installed: npm install --prefix export/node")
    output = tmp_path / "cutout.png"
    command = ["node", NODE / "cutout.mjs", folder, dtype, PORTRAIT, output]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    alpha = np.asarray(Image.open(output))[..., 3] / 255
    expected = predict(PORTRAIT, precision=precision)
    assert alpha.shape == load_image(PORTRAIT).shape[:2]
    assert np.abs(alpha - expected).mean() < 0.005  # its scaling of the image is not quite ours
