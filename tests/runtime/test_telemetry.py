"""Using the package leaves nothing in the user's home folder, and tells nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import brightness_model

pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parent.parent.parent
CODE = """
import sys, jointmat
jointmat.Predictor(sys.argv[1]).predict(open(sys.argv[2], "rb"))
"""


@pytest.mark.parametrize(
    "command",
    [
        ["-c", CODE, "MODEL", "jointmat/assets/astronaut.jpg"],
        ["-m", "jointmat", "info", "--model", "MODEL"],
    ],
)
def test_nothing_is_kept_or_told(tmp_path, command):
    home = tmp_path / "home"
    home.mkdir()
    model = str(brightness_model(tmp_path / "brightness.onnx"))
    command = [model if part == "MODEL" else part for part in command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    subprocess.run([sys.executable, *command], cwd=ROOT, env={**environment, "HOME": str(home)}, check=True)
    assert [path for path in home.rglob("*") if path.is_file()] == []
