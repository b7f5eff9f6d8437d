"""`python -m export onnx` writes what it is asked for, and says how it compares."""

import dataclasses

import pytest
from click.testing import CliRunner

from export.__main__ import cli
from export.verify import Comparison
from jointmat.config import MODELS
from jointmat.errors import WeightsError
from jointmat.models.joint import JointMatting
from jointmat.weights import save_weights
from tests.tiny import CONFIG, tiny_model

TWO = dataclasses.replace(CONFIG, architecture="two-model", kernel=3, iterations=2)


@pytest.fixture
def calls(monkeypatch):
    """Instead of minutes of work: a file of three bytes, and what was asked for."""
    noted = []

    def write(model, path, **options):
        assert isinstance(model, JointMatting)
        path.write_bytes(b"abc")
        noted.append((path.name, options))
        return Comparison({(1, 32, 64): 2e-6})

    monkeypatch.setattr("export.onnx.export_onnx", write)
    return noted


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "fine-tuned.safetensors"
    save_weights(tiny_model(), path)
    return path


def run(*arguments):
    return CliRunner().invoke(cli, ["onnx", *map(str, arguments)])


def test_the_joint_network(weights, calls, tmp_path):
    result = run("--weights", weights, "-o", tmp_path / "out.onnx")
    assert result.exit_code == 0, result.output
    assert calls == [("out.onnx", {"source": weights})]
    assert f"{tmp_path / 'out.onnx'}: 0.0 MB" in result.output
    assert "max |onnx − torch|  1x3x32x64: 2.00e-06" in result.output


def test_weights_that_are_none(calls, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"garbage")
    result = run("--weights", path, "-o", tmp_path / "out.onnx")
    assert isinstance(result.exception, WeightsError)
    assert calls == []


def test_what_cost_is_of(calls):
    joint = [name for name, config in MODELS.items() if config.architecture == "joint"]
    for name in joint:
        done = CliRunner().invoke(cli, ["cost", "--model", name, "--size", "64"])
        assert done.exit_code == 0 and "decoder" in done.stdout
    for arguments in (["--model", "two-model"], ["--model", "foo"], ["--size", "0"]):
        done = CliRunner().invoke(cli, ["cost", *arguments])
        assert done.exit_code == 2 and "Invalid value" in done.stderr
