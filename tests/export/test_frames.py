"""The variant for raw frames gives the network's alpha at the frame's size, whatever that is."""

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from export.frames import SHAPES
from jointmat.preprocess import plan, postprocess, preprocess
from jointmat.runtime.onnx import OnnxBackend

BUDGET = 2e-4


def frame(height, width, seed=0):
    """(1, height, width, 3) uint8, smooth."""
    coarse = np.random.default_rng(seed).random((5, 5, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.rint(255 * smooth).astype(np.uint8)[None]


def run(path, frames):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["alpha"], {"frames": frames})[0]


def test_parity_at_five_sizes_that_were_not_traced(frames_export):
    _, comparison = frames_export
    assert len(comparison.by_shape) == 5
    assert {batch for batch, _, _ in comparison.by_shape} == {1, 2, 3}
    assert comparison.worst <= BUDGET, str(comparison)


def test_the_command_compares_sizes_below_and_above_the_networks(frames_file):
    assert len(SHAPES) >= 5
    assert {max(h, w) > 512 for _, h, w in SHAPES} == {True, False}
    assert {batch for batch, _, _ in SHAPES} >= {1, 2, 3}


@pytest.mark.parametrize("size", [(64, 64), (90, 160), (301, 77), (20, 31), (1, 1)])
def test_sees_a_frame_as_the_predictor_does(frames_file, exported, size):
    frames = frame(*size)
    geometry = plan(size, 64, 32)
    small = OnnxBackend(exported.onnx).run(preprocess(frames[0], geometry)).alpha
    expected = postprocess(small[0, 0], geometry)
    alpha = run(frames_file, frames)
    assert alpha.shape == (1, *size, 1)
    # the predictor rounds the reduced photo to 8 bits
    assert np.abs(alpha[0, ..., 0] - expected).mean() < 0.01


def test_a_batch_is_its_frames(frames_file):
    frames = np.concatenate([frame(50, 70, seed) for seed in range(3)])
    together = run(frames_file, frames)
    for index in range(3):
        np.testing.assert_allclose(together[index], run(frames_file, frames[index : index + 1])[0], atol=1e-5)


def test_signature_and_metadata(frames_file):
    model = onnx.load(frames_file)
    (frames,), (alpha,) = model.graph.input, model.graph.output
    assert (frames.name, alpha.name) == ("frames", "alpha")
    assert frames.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    batch, height, width, channels = frames.type.tensor_type.shape.dim
    assert all(axis.dim_param for axis in (batch, height, width))
    assert channels.dim_value == 3
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["name"] == "jointmat"
    assert properties["stride"] == "1"
    assert {"version", "licence", "config", "weights_sha256", "recommended_long_side"} <= properties.keys()
    assert {opset.domain for opset in model.opset_import} <= {"", "ai.onnx"}
    assert not any(node.op_type == "Resize" and _antialias(node) for node in model.graph.node)


def _antialias(node):
    return any(a.name == "antialias" and a.i for a in node.attribute)
