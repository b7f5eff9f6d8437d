"""What the README tells a user to type is run as it stands there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PORTRAIT = ROOT / "jointmat" / "assets" / "astronaut.jpg"

pytestmark = pytest.mark.skipif(
    not (ROOT / "weights" / "lite.onnx").is_file(), reason="weights/lite.onnx is not in this checkout"
)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


COMMANDS = [
    line for block in blocks("bash") for line in block.splitlines() if "jointmat " in line and "pip" not in line
]


@pytest.fixture
def folder(tmp_path):
    """A folder with the files that the examples name."""
    for name in ("portrait.jpg", "beach.jpg", "a.jpg", "b.jpg"):
        shutil.copy(PORTRAIT, tmp_path / name)
    (tmp_path / "photos").mkdir()
    shutil.copy(PORTRAIT, tmp_path / "photos")
    return tmp_path


def test_python_examples_run(folder):
    (code,) = blocks("python")
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
    assert (folder / "cutout.png").is_file()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command, folder):
    line = command.replace("jointmat ", f"{shlex.quote(sys.executable)} -m jointmat ", 1)
    subprocess.run(line, shell=True, cwd=folder, env={"PYTHONPATH": str(ROOT)}, check=True)


def test_pictures_and_files_that_it_names_exist():
    for path in re.findall(r"\]\((?!https?:)([^)#]+)\)", README) + re.findall(
        r"`((?:jointmat|configs|weights)/[^`]+)`", README
    ):
        assert (ROOT / path).exists(), path


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
