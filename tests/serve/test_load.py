"""The load test itself: it counts what it should, and fails when it should."""

import re
from collections import Counter

import pytest
from click.testing import CliRunner

pytest.importorskip("fastapi", reason="needs jointmat[serve]")

from jointmat.cli.errors import SomeFailed
from tests.fakes import brightness_model
from tests.serve.load import Result, load


def test_every_image_is_counted(tmp_path):
    model = str(brightness_model(tmp_path / "brightness.onnx"))
    options = ["--clients", "3", "--requests", "7", "--warm-up", "2", "--side", "32", "--model", model]
    done = CliRunner().invoke(load, [*options, "--growth", "500"], catch_exceptions=False)
    assert re.search(
        r"^7 images in .* images/s; of \d+ answers \d+ were 503, 0 errors$", done.output, re.MULTILINE
    )
    assert re.search(r"^memory \d+ MB at first", done.output, re.MULTILINE)
    assert re.search(r"^/healthz took at most \d+ ms", done.output, re.MULTILINE)
    assert re.search(r"^SIGTERM ended the server in \d+\.\d s$", done.output, re.MULTILINE)


def test_errors_and_growth_are_failures():
    flat = Result([0.1], memory=[1e6, 9e6, 1e6, 1e6])
    flat.check(0)
    with pytest.raises(SomeFailed, match="3 errors, 2 of them: 504 late"):
        Result([0.1], errors=Counter({"504 late": 2, "500 broken": 1}), memory=[1e6]).check(0)
    with pytest.raises(SomeFailed, match=r"memory grew by 30.0 MB, expected 20"):
        Result([0.1], memory=[1e6, 2e6, 3e6, 31e6]).check(20e6)
    with pytest.raises(SomeFailed, match="not one image"):
        Result(memory=[1e6]).check(0)
