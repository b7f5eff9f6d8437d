"""Commands about the package itself, and what starting one costs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from jointmat.cli.main import cli

ROOT = Path(__file__).parent.parent.parent
WITH_WEIGHTS = pytest.mark.skipif(
    not (ROOT / "weights" / "lite.onnx").is_file(), reason="weights/lite.onnx is not in this checkout"
)


def said(*arguments):
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@WITH_WEIGHTS
def test_info_is_ten_lines_and_the_card_is_whole():
    text = said("info")
    assert len(text.splitlines()) <= 10
    for part in ("CPUExecutionProvider", "Apache-2.0", "NOTICE", "lite", "SAD"):
        assert part in text
    notice = re.search(r"(?m)^NOTICE +(.+)$", text)[1]
    assert Path(notice).read_text(encoding="utf-8").startswith("Sources of the weights")
    assert json.loads(said("info", "--card"))["sha256"]["lite.onnx"]


@WITH_WEIGHTS
def test_demo_writes_its_steps(tmp_path):
    assert "astronaut-cutout.png" in said("demo", "-o", str(tmp_path / "demo"))
    composite = np.asarray(Image.open(tmp_path / "demo" / "astronaut-composite.jpg"))
    assert composite.shape == (512, 512, 3)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script(shell):
    assert "_JOINTMAT_COMPLETE" in said("completion", shell)


@pytest.mark.parametrize("command", ["predict", "video", "camera", "serve", "info", "demo"])
def test_help_is_grouped_and_plain(command):
    lines = said(command, "--help").splitlines()
    groups = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert "Help:" in groups and "Model:" in groups and "Options:" not in groups


@pytest.mark.parametrize("module", ["jointmat", "jointmat.cli.main"])
def test_it_runs_as_a_module(module):
    done = subprocess.run([sys.executable, "-m", module, "--version"], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.startswith(b"jointmat, version ")


def test_an_import_that_fails_is_one_line():
    code = "import sys; sys.modules['cv2'] = None; from jointmat.cli.main import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "predict",
        str(ROOT / "jointmat" / "assets" / "astronaut.jpg"),
        "-o",
        "-",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"cv2" in done.stderr


@pytest.mark.parametrize("code", ["import jointmat", "from jointmat.cli.main import main; main()"])
def test_start_is_light(code):
    script = (
        f"import sys; sys.argv = ['jointmat', '--help']\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'cv2', 'onnxruntime', 'PIL', 'numpy', 'tqdm'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True)
    assert result.stderr.decode().strip() == "[]"
