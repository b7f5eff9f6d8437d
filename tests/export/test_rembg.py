"""The file for rembg, given what rembg's session gives it; .ci/check-rembg tries it in rembg itself."""

import numpy as np
import onnxruntime as ort
import pytest
from PIL import Image

from export.rembg import MEAN, STD, export_rembg
from jointmat.assets import PORTRAIT
from jointmat.errors import WeightsError
from jointmat.predictor import predict


def as_rembg_does(path, image):
    """Alpha (320, 320) in [0, 1], as the session u2net_custom computes it from a PIL image."""
    pixels = np.asarray(image.convert("RGB").resize((320, 320), Image.Resampling.LANCZOS))
    normalised = (pixels / pixels.max() - MEAN) / STD
    session = ort.InferenceSession(path)
    feed = {session.get_inputs()[0].name: normalised.transpose(2, 0, 1)[None].astype(np.float32)}
    first = session.run(None, feed)[0][0, 0]
    return (first - first.min()) / (first.max() - first.min())


def test_it_answers_as_our_own_network_at_320_pixels(tmp_path):
    comparison = export_rembg("lite", tmp_path / "jointmat.onnx")
    assert comparison.worst < 1e-3
    image = Image.open(PORTRAIT)
    expected = predict(image.resize((320, 320), Image.Resampling.LANCZOS), max_side=320)
    assert np.abs(as_rembg_does(tmp_path / "jointmat.onnx", image) - expected).mean() < 0.01


def test_nothing_is_written_for_a_model_that_is_not_there(tmp_path):
    with pytest.raises(WeightsError, match="nothing"):
        export_rembg("nothing", tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
