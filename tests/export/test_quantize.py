"""Files of lower precision: near the original at every size, described as it is, and used by name."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import jointmat
from export.half import to_half
from export.int8 import Group, groups, sensitivity, to_int8, within
from export.quantize import quantize
from export.verify import SHAPES
from jointmat.errors import ExportError, InputError
from jointmat.predictor import Predictor
from jointmat.weights import sha256
from tests.tiny import feed, hard_planes, images

WEIGHTS = Path(__file__).parents[2] / "weights"
PORTRAIT = Path(jointmat.__file__).parent / "assets" / "astronaut.jpg"

# Mean of alpha's difference from fp32, and what 99 % of it stay below. Half precision keeps 11 bits, INT8 8 of
# values and 7 of weights, within ranges that it saw on three small images; a random network magnifies both.
BUDGETS = {"fp16": (0.005, 0.03), "int8": (0.1, 0.5)}


@pytest.fixture(scope="module")
def folder(published, tmp_path_factory):
    """A copy of the published folder, with files of half precision, too."""
    folder = tmp_path_factory.mktemp("quantised") / "all"
    shutil.copytree(published.folder, folder)
    list(quantize(folder / "tiny.onnx", ["fp16"]))
    return folder


def run(path, outputs, given):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(outputs, given)


def operators(path):
    return [node.op_type for node in onnx.load(path).graph.node]


# --- Numbers


@pytest.mark.parametrize("precision", BUDGETS)
@pytest.mark.parametrize("shape", SHAPES)
def test_near_the_original_at_sizes_that_were_not_calibrated(folder, precision, shape):
    batch, height, width = shape
    image = images(batch, 32 * height, 32 * width, seed=4)
    (expected,) = run(folder / "tiny.onnx", ["alpha"], feed(image))
    (found,) = run(folder / f"tiny-{precision}.onnx", ["alpha"], feed(image))
    mean, large = BUDGETS[precision]
    assert found.dtype == np.float32 and found.shape == expected.shape
    difference = np.abs(found - expected)
    assert difference.mean() > 0, "nothing was quantised"
    assert difference.mean() < mean
    assert np.quantile(difference, 0.99) < large


@pytest.mark.parametrize("precision", BUDGETS)
def test_near_the_original_with_a_given_trimap(folder, precision):
    given = feed(images(1, 64, 96), hard_planes(64, 96))
    expected, found = (
        run(folder / f"tiny{ending}.onnx", ["alpha"], given)[0] for ending in ("", f"-{precision}")
    )
    assert 0 < np.abs(found - expected).mean() < BUDGETS[precision][0]


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("precision", BUDGETS)
def test_a_constant_image_has_a_finite_alpha(folder, precision, value):
    """The softmax and the exponentials of the trimap stay within what half precision holds."""
    alpha, trimap, _ = run(
        folder / f"tiny-{precision}.onnx",
        ["alpha", "used_trimap", "mask"],
        feed(images(1, 64, 64) * 0 + value),
    )
    assert np.isfinite(alpha).all() and np.isfinite(trimap).all()
    np.testing.assert_allclose(trimap.sum(axis=1), 1, atol=0.01)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_weights_that_ship(precision):
    if not (WEIGHTS / f"lite-{precision}.onnx").is_file():
        pytest.skip(f"weights/lite-{precision}.onnx is not in this checkout")
    plain, made = (Predictor(precision=p).predict(PORTRAIT) for p in ("fp32", precision))
    difference = np.abs(made - plain)
    assert 0 < difference.mean() < 0.01  # .0061 for int8, most of it in the helmet
    assert np.quantile(difference, 0.95) < 0.05


# --- Files


@pytest.mark.parametrize("precision", BUDGETS)
def test_what_the_file_says_stays(folder, precision):
    plain, made = (onnx.load(folder / f"tiny{p}.onnx") for p in ("", f"-{precision}"))
    assert {p.key: p.value for p in made.metadata_props} == {p.key: p.value for p in plain.metadata_props}
    assert (made.producer_name, made.producer_version) == (plain.producer_name, plain.producer_version)
    for kind in ("input", "output"):
        signatures = [
            [(v.name, v.type.tensor_type.elem_type) for v in getattr(m.graph, kind)] for m in (plain, made)
        ]
        assert signatures[0] == signatures[1]
    assert {opset.domain for opset in made.opset_import} <= {"", "ai.onnx"}, "standard operators only"


def test_half_precision_halves_the_weights(folder):
    weights = {w.name: w for w in onnx.load(folder / "tiny-fp16.onnx").graph.initializer}
    half = sum(np.prod(w.dims) for w in weights.values() if w.data_type == onnx.TensorProto.FLOAT16)
    full = sum(np.prod(w.dims) for w in weights.values() if w.data_type == onnx.TensorProto.FLOAT)
    assert half > 20 * full


def test_the_predictor_picks_the_file(folder):
    image = np.rint(images(1, 48, 80)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    trimap = np.full((48, 80), 128, np.uint8)
    found = {}
    for precision in ("fp32", "fp16", "int8"):
        predictor = Predictor(folder / "tiny.onnx", precision=precision)
        assert predictor.backend.precision == precision
        found[precision] = np.stack([predictor.predict(image), predictor.predict(image, trimap=trimap)])
    for precision, (mean, _) in BUDGETS.items():
        assert 0 < np.abs(found[precision] - found["fp32"]).mean() < mean


def test_the_card_lists_new_files(folder):
    sums = json.loads((folder / "tiny.json").read_text(encoding="utf-8"))["sha256"]
    for name in ("tiny-fp16.onnx", "tiny-int8.onnx"):
        assert sums[name] == sha256(folder / name)


# --- What is quantised


@pytest.fixture(scope="module")
def feeds():
    return [feed(images(1, 64, 64, seed)) for seed in range(2)]


def test_groups_are_measured_one_by_one(exported, feeds):
    measured = sensitivity(exported.onnx, feeds)
    errors = [group.error for group in measured]
    assert errors == sorted(errors) and 0 <= errors[0] < errors[-1] < 0.5
    assert {group.name for group in measured} == {group.name for group in groups(onnx.load(exported.onnx))}


def test_the_least_sensitive_groups_are_taken_up_to_the_budget():
    measured = [Group(name, (), 1, error) for name, error in [("a", 0.1), ("b", 0.2), ("c", 0.4)]]
    assert [within(measured, budget) for budget in (0, 0.1, 0.35, 1)] == [
        set(),
        {"a"},
        {"a", "b"},
        {"a", "b", "c"},
    ]


@pytest.mark.parametrize("names", [set(), {"decoder.up_8.convolve.0"}])
def test_only_what_is_chosen_is_quantised(exported, feeds, tmp_path, names):
    path = tmp_path / "int8.onnx"
    to_int8(exported.onnx, path, feeds, names)
    bytes_ = {w.name for w in onnx.load(path).graph.initializer if w.data_type == onnx.TensorProto.INT8}
    assert any("up_8.convolve" in name for name in bytes_) == bool(names)
    assert all("up_8.convolve" in name or "zero_point" in name for name in bytes_)
    if not names:
        assert "QuantizeLinear" not in operators(path)
        plain, same = (run(p, ["alpha"], feed(images(1, 64, 64)))[0] for p in (exported.onnx, path))
        np.testing.assert_allclose(same, plain, atol=3e-5)


def test_all_trained_convolutions_are_in_a_group(exported):
    model = onnx.load(exported.onnx)
    grouped = [name for group in groups(model) for name in group.nodes]
    assert len(grouped) == len(set(grouped))
    trained = {w.name for w in model.graph.initializer if "." in w.name}
    convolutions = {n.name for n in model.graph.node if n.op_type == "Conv" and n.input[1] in trained}
    assert convolutions <= set(grouped)
    assert {g.name.partition(".")[0] for g in groups(model)} == {"encoder", "neck", "segmentation", "decoder"}


def test_int8_needs_data(exported):
    with pytest.raises(InputError, match="int8 needs --data DIR"):
        list(quantize(exported.onnx, ["fp16", "int8"]))
    assert not exported.onnx.with_name("tiny-fp16.onnx").exists()


def test_a_model_without_a_card(exported, tmp_path):
    plain = shutil.copy(exported.onnx, tmp_path / "alone.onnx")
    (line,) = quantize(plain, ["fp16"])
    assert line.startswith(f"{tmp_path / 'alone-fp16.onnx'}: ") and "changes by 0.0" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone-fp16.onnx", "alone.onnx"]


@pytest.mark.parametrize(("value", "text"), [(np.nan, "changes by nan"), (0.0, "expected at most 0.0001")])
def test_a_file_whose_alpha_is_another_is_not_left(exported, tmp_path, monkeypatch, value, text):
    plain = shutil.copy(exported.onnx, tmp_path / "alone.onnx")

    def broken(_, path):
        model = onnx.load(plain)
        for weight in model.graph.initializer:
            if weight.data_type == onnx.TensorProto.FLOAT and len(weight.dims) == 4:
                values = np.full(list(weight.dims), value, np.float32)
                weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
        onnx.save(model, path)

    monkeypatch.setattr("export.quantize.to_half", broken)
    monkeypatch.setattr("export.quantize._MOST_MOVED", 1e-4)  # a network that was not trained says little
    with pytest.raises(ExportError, match=text):
        list(quantize(plain, ["fp16"]))
    assert [path.name for path in tmp_path.iterdir()] == ["alone.onnx"]


def test_no_half_file_is_left_of_a_graph_that_is_not_valid(exported, tmp_path, monkeypatch):
    def refuse(*_):
        raise InputError("not valid")

    monkeypatch.setattr("export.half.check", refuse)
    with pytest.raises(InputError):
        to_half(exported.onnx, tmp_path / "half.onnx")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_were_not_exported(exported):
    with pytest.raises(
        InputError, match=r"tiny\.safetensors: expected an \.onnx file, as made by python -m export onnx"
    ):
        list(quantize(exported.weights, ["fp16"]))
