"""A comparison sees what differs."""

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from export.graph import Graph
from export.verify import SHAPES, Comparison, compare


class Scaled(Graph):
    inputs, outputs, stride = {"plane": 1}, ("out",), 4

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, plane):
        return (self.factor * plane,)


@pytest.fixture
def doubling(tmp_path):
    """A file that doubles its input."""
    sizes = ["b", 1, "h", "w"]
    plane, out = (helper.make_tensor_value_info(n, TensorProto.FLOAT, sizes) for n in ("plane", "out"))
    node = helper.make_node("Add", ["plane", "plane"], ["out"])
    graph = helper.make_graph([node], "double", [plane], [out])
    path = tmp_path / "double.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def test_files_are_run_at_every_size_and_their_largest_difference_counts(doubling):
    same, other = compare(Scaled(2.0), doubling), compare(Scaled(2.5), doubling)
    assert list(same.by_shape) == [(b, 4 * h, 4 * w) for b, h, w in SHAPES]
    assert same.worst == 0
    assert other.worst == pytest.approx(0.5, abs=0.1)  # of planes up to 1


def test_an_output_of_another_size_differs_as_much_as_can_be(doubling):
    class Half(Scaled):
        def forward(self, plane):
            return (plane[..., ::2],)

    assert compare(Half(1.0), doubling).worst == np.inf


def test_nan_is_never_passed_over():
    comparison = Comparison({(1, 4, 4): float("nan"), (2, 4, 4): 0.0})
    assert np.isnan(comparison.worst) and not comparison.worst <= 1
    assert "2x3x4x4: 0.00e+00" in str(comparison)
