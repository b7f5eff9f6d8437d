"""The benchmark: products, a process per system, tables. No time is asserted."""

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from export.__main__ import cli
from export.bench.machine import peak
from export.bench.macs import count
from export.bench.run import Measurement, Worker, image_tasks, measure, speed_table
from export.bench.systems import Spec, joint_systems
from export.precision import compare, precision_table
from jointmat.errors import JointmatError, WeightsError
from jointmat.io.image import load_image
from tests.export.test_resolution import cells
from tests.fakes import brightness_model


@pytest.fixture
def model(tmp_path):
    return brightness_model(tmp_path / "brightness.onnx")


def test_products_of_a_graph(tmp_path):
    """x (B, 3, H, W) → 8 channels at half the size → back, and a product with a matrix."""
    weights = {
        "w": np.zeros((8, 3, 3, 3), np.float32),
        "t": np.zeros((8, 2, 4, 4), np.float32),
        "m": np.zeros((64, 5), np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["half"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("ConvTranspose", ["half", "t"], ["whole"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("MatMul", ["whole", "m"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    path = tmp_path / "graph.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    convolution, transposed, product = 8 * 32 * 32 * 27, 8 * 32 * 32 * 32, 2 * 64 * 64 * 5
    assert count(path, 64) == convolution + transposed + product


def test_what_is_wrong_with_a_system_is_one_line(tmp_path, capfd):
    message = "foo: peer 'foo': expected one of"
    spec = Spec("foo", "peer", str(tmp_path / "none.onnx"), "foo")
    with Worker(spec, 1) as worker, pytest.raises(JointmatError, match=message):
        worker.do(("network", 64))
    assert "Traceback" not in capfd.readouterr().err


def test_the_same_products_in_every_precision(published):
    plain, int8 = (count(published.folder / f"tiny{p}.onnx", 64) for p in ("", "-int8"))
    assert plain > 0 and int8 == pytest.approx(plain)


def test_systems_are_the_forms_that_there_are(published, model, tmp_path):
    found = joint_systems(str(published.folder / "tiny.onnx"))
    looks = [(precision, detail) for precision in ("fp32", "int8") for detail in ("fine", "fast")]
    assert [(spec.setting, spec.detail) for spec in found] == looks
    assert [spec.label for spec in joint_systems(str(model))] == ["brightness fp32 fine", "brightness fp32 fast"]
    with pytest.raises(WeightsError):
        joint_systems(str(tmp_path / "none.onnx"))


def test_each_system_does_each_task_as_often_as_said(model, tmp_path):
    tasks = image_tasks(tmp_path, {"small": (48, 64)}) | {"network 64²": ("network", 64)}
    assert load_image(tasks["image small"][1]).shape == (48, 64, 3)
    specs = [Spec(label, "joint", str(model), "fp32") for label in ("one", "two")]
    results = measure(specs, list(tasks.values()), 1, 3)
    assert set(results) == {(label, task) for label in ("one", "two") for task in tasks.values()}
    for measurement in results.values():
        assert len(measurement.milliseconds) == 3, "without the one that warms up"
        assert min(measurement.milliseconds) > 0
        assert 10 < measurement.megabytes < 10_000


def test_a_system_that_cannot_be_opened_is_named(tmp_path):
    spec = Spec("missing", "joint", str(tmp_path / "none.onnx"), "fp32")
    with Worker(spec, 1) as worker, pytest.raises(JointmatError, match=r"missing: .*no such weights file"):
        worker.do(("network", 64))


def test_a_process_that_dies_is_named(tmp_path):
    with Worker(Spec("odd", "joint", "none"), 1) as worker:
        with pytest.raises(JointmatError, match="odd: "):
            worker.do(("network", 64))  # which starts the process
        (process,) = worker._pool._processes.values()
        process.kill()
        process.join()
        with pytest.raises(JointmatError, match="odd: benchmark worker exited"):
            worker.do(("network", 64))


def test_the_table(monkeypatch):
    """With the share of the machine's limit where the products are known."""
    monkeypatch.setattr(Spec, "gmac", lambda self, size: 2.0 if self.label == "a" else float("nan"))
    specs = [Spec("a", "joint", ""), Spec("b", "peer", "")]
    tasks = {"network 64²": ("network", 64), "image 4K": ("image", "p")}
    results = {
        ("a", ("network", 64)): Measurement([20.0, 25.0, 40.0], 100),
        ("a", ("image", "p")): Measurement([60.0], 512.4),
        ("b", ("network", 64)): Measurement([5.0], 50),
        ("b", ("image", "p")): Measurement([9.0], 80),
    }
    head, _, first, second = cells(speed_table(specs, tasks, results, 400.0))
    assert head[-3:] == ["network 64²", "image 4K", "image 4K MB"]
    assert first == ["a", "20 / 25 (100 GMAC/s, 25%)", "60 / 60", "512"]
    assert second == ["b", "5 / 5", "9 / 9", "80"]


def test_the_machine():
    assert peak(1) > 0.1


def test_the_command(model):
    arguments = ["bench", str(model), "--threads", "1", "--size", "64", "--image", "720p", "--rounds", "1"]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert [line[0] for line in cells(result.output)][-1] == "brightness fp32 fast"
    assert "1 threads, 1 rounds, ms least / median; peak of float32: " in result.output


@pytest.mark.parametrize("option", ["--peer", "--pipeline"])
def test_a_system_without_a_file(model, option):
    result = CliRunner().invoke(cli, ["bench", str(model), option, "u2netp"])
    assert result.exit_code == 2 and "'u2netp': expected NAME=FILE" in result.output


def test_precisions_side_by_side(published, material):
    from jointmat.evaluation.manifest import Kind, read_labelled

    forms = compare(published.folder / "tiny.onnx", read_labelled(material, "val", kinds=[Kind.ALPHA], most=2), 1)
    assert {"fp32", "int8"} <= set(forms)
    assert forms["fp32"].difference() == 0 < forms["int8"].difference()
    assert forms["int8"].megabytes < forms["fp32"].megabytes
    for form in forms.values():
        assert len(form.milliseconds) == 2 and form.sad().keys() == {"mattes"}
    head, _, *rows = cells(precision_table(forms))
    assert head[-1] == "SAD mattes (2)" and [row[0] for row in rows] == list(forms)
    assert rows[0][-1] == f"{forms['fp32'].sad()['mattes']:.2f} (+0.0%)"
