"""Exported files compute what torch computes, at sizes that were not traced, and speak for themselves."""

import copy
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import export.onnx
import jointmat
from export.onnx import OPSET, TOLERANCE, export_onnx
from export.verify import SHAPES, Comparison, compare
from export.wrapper import Joint
from jointmat.config import MODELS, ModelConfig, from_mapping
from jointmat.errors import ExportError
from jointmat.models.joint import JointMatting
from jointmat.runtime.onnx import SIGNATURE
from jointmat.weights import sha256
from tests.tiny import CONFIG, feed, hard_planes, images, tiny_model

BUDGET = 2e-4  # 6e-5 measured; τ = 20 magnifies the rounding of the mask


@pytest.fixture(scope="module")
def graph(exported):
    return onnx.load(exported.onnx)


# --- Parity


@torch.inference_mode()
def test_parity_is_looked_at_where_the_network_has_something_to_say():
    graph = Joint(JointMatting.from_pretrained("lite"))
    image, planes, prior = graph.example(2, 384, 512, torch.Generator().manual_seed(0))
    assert planes.sum(dim=(1, 2, 3)).bool().tolist() == [True, False]  # one with a trimap, one without
    alpha, trimap, _ = graph(image, 0 * planes, prior)
    assert alpha.min() < 0.01 and alpha.max() > 0.99
    assert all((planes.argmax(dim=0) == 1).sum() > 300 for planes in trimap)


def test_parity_at_sizes_that_were_not_traced(exported):
    assert list(exported.comparison.by_shape) == [(b, 32 * h, 32 * w) for b, h, w in SHAPES]
    assert exported.comparison.worst <= BUDGET, str(exported.comparison)


def test_the_shapes_go_below_and_above_the_bound_on_queries():
    patches = [4 * h * w for _, h, w in SHAPES]
    for config in (*MODELS.values(), CONFIG):
        assert min(patches) < config.max_queries < max(patches)
    assert {batch for batch, _, _ in SHAPES} == {1, 2, 3}


def test_parity_for_a_hard_trimap_with_more_unknown_patches_than_queries(exported):
    """All of them are equally unknown: both sides must choose the same ones."""
    image, planes = images(2, 128, 160), hard_planes(128, 160).expand(2, -1, -1, -1).contiguous()
    with torch.inference_mode():
        expected = exported.model(image, planes)
    session = onnxruntime.InferenceSession(exported.onnx, providers=["CPUExecutionProvider"])
    alpha = session.run(["alpha"], feed(image, planes))[0]
    np.testing.assert_allclose(alpha, expected.alpha.numpy(), atol=BUDGET)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_parity_on_a_constant_image(exported, value):
    image = torch.full((1, 3, 64, 32), value)
    with torch.inference_mode():
        expected = exported.model(image)
    session = onnxruntime.InferenceSession(exported.onnx, providers=["CPUExecutionProvider"])
    trimap, mask, alpha = session.run(["used_trimap", "mask", "alpha"], feed(image))
    np.testing.assert_allclose(trimap, expected.trimap.numpy(), atol=BUDGET)
    np.testing.assert_allclose(mask, expected.mask.numpy(), atol=BUDGET)
    assert np.isfinite(alpha).all()


# --- What the file says


def test_metadata(exported, graph):
    properties = {entry.key: entry.value for entry in graph.metadata_props}
    assert properties["stride"] == "32"
    assert from_mapping(ModelConfig, json.loads(properties["config"])) == CONFIG
    assert properties["weights_sha256"] == sha256(exported.weights)
    assert properties["version"] == graph.producer_version == jointmat.__version__
    assert graph.producer_name == "jointmat"


def test_signature(graph):
    assert [opset.version for opset in graph.opset_import if opset.domain in ("", "ai.onnx")] == [OPSET]
    inputs, outputs = SIGNATURE
    assert [node.name for node in graph.graph.input] == list(inputs)
    assert [node.name for node in graph.graph.output] == list(outputs)
    for node, expected in zip(graph.graph.input, (3, 3, 1), strict=True):
        batch, channels, height, width = node.type.tensor_type.shape.dim
        assert channels.dim_value == expected
        assert all(axis.dim_param for axis in (batch, height, width))


def test_the_file_stands_alone(exported, graph):
    assert not any(t.data_location == onnx.TensorProto.EXTERNAL for t in graph.graph.initializer)
    assert {opset.domain for opset in graph.opset_import} <= {"", "ai.onnx"}
    assert len(graph.functions) == 0
    assert sorted(path.name for path in exported.onnx.parent.iterdir()) == ["tiny.onnx", "tiny.safetensors"]


# --- A file that does not compute the same


@pytest.mark.parametrize("value", [float("nan"), 0.3])
def test_the_comparison_notices_another_model(exported, value):
    other = copy.deepcopy(exported.model)
    with torch.no_grad():
        other.decoder.to_alpha.bias += value
    comparison = compare(Joint(other), exported.onnx)
    assert not comparison.worst <= TOLERANCE
    assert not any(difference <= TOLERANCE for difference in comparison.by_shape.values())


def test_the_worst_of_a_comparison():
    assert Comparison({(1, 32, 32): 0.1, (2, 32, 32): 0.3}).worst == 0.3
    for values in ((0.1, float("nan")), (float("nan"), 0.1)):
        assert np.isnan(Comparison(dict(zip([(1, 32, 32), (2, 32, 32)], values, strict=True))).worst)
    assert str(Comparison({(1, 32, 64): 2e-6})) == "max |onnx − torch|  1x3x32x64: 2.00e-06"


@pytest.mark.parametrize("difference", [2 * TOLERANCE, float("nan"), float("inf")])
def test_a_file_that_differs_is_not_written(graph, tmp_path, monkeypatch, difference):
    monkeypatch.setattr(export.onnx, "convert", lambda *_: copy.deepcopy(graph))
    monkeypatch.setattr(export.onnx, "compare", lambda *_, **__: Comparison({(1, 32, 32): difference}))
    path = tmp_path / "out.onnx"
    with pytest.raises(ExportError) as error:
        export_onnx(tiny_model(), path)
    assert f"{path}: differs from torch by {difference:.2g}" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_is_not_valid_is_not_written(graph, tmp_path, monkeypatch):
    broken = copy.deepcopy(graph)
    broken.graph.node[0].op_type = "NoSuchOperator"
    monkeypatch.setattr(export.onnx, "convert", lambda *_: broken)
    with pytest.raises(ExportError, match=r"out\.onnx: the exported graph is not valid"):
        export_onnx(tiny_model(), tmp_path / "out.onnx")
    assert list(tmp_path.iterdir()) == []
