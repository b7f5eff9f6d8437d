"""Files of several inputs and outputs become image → alpha."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from export.single import compare_alpha, image_to_alpha
from jointmat.errors import ExportError
from tests.tiny import feed, images


def alpha_of(proto, **inputs):
    return ort.InferenceSession(proto.SerializeToString()).run(["alpha"], inputs)[0]


def test_only_image_and_alpha_are_left(exported):
    proto = image_to_alpha(exported.onnx)
    onnx.checker.check_model(proto, full_check=True)
    image = images(2, 64, 96).numpy()
    expected = ort.InferenceSession(exported.onnx).run(["alpha"], feed(images(2, 64, 96)))[0]
    np.testing.assert_allclose(alpha_of(proto, image=image), expected, atol=1e-5)


def test_the_comparison_notices_another_network(exported):
    proto = image_to_alpha(exported.onnx)
    assert compare_alpha(exported.onnx, proto, np.zeros(3), np.ones(3)).worst < 1e-4
    assert compare_alpha(exported.onnx, proto, np.full(3, 0.5), np.ones(3)).worst > 1e-3


def test_a_file_without_image_is_refused(tmp_path):
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [onnx.helper.make_tensor_value_info("y", 1, [1])])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "other.onnx")
    with pytest.raises(ExportError, match="input image"):
        image_to_alpha(tmp_path / "other.onnx")
