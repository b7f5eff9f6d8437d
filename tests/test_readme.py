"""What README and documentation tell a user to type is run as it stands there, on the files of `jointmat demo`.

Blocks of `bash` and `python` are run. Blocks of `sh` need a network, own data or another program, and are not.
"""

import ast
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

pytestmark = pytest.mark.skipif(
    not (ROOT / "weights" / "lite.onnx").is_file(), reason="weights/lite.onnx is not in this checkout"
)


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(pattern):
    """Every different line of the `bash` blocks that the pattern is found in."""
    lines = dict.fromkeys(line for page in PAGES for block in blocks(page, "bash") for line in block.splitlines())
    return [line for line in lines if re.search(pattern, line)]


def run(line, folder):
    line = re.sub(r"(^|\| )jointmat ", rf"\1{sys.executable} -m jointmat ", line)
    line = re.sub(r"^python ", f"{sys.executable} ", line)
    subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=folder, env=ENVIRONMENT, check=True, timeout=300)


def test_the_figure_is_that_of_the_code():
    docstring = ast.get_docstring(
        ast.parse((ROOT / "jointmat/models/joint.py").read_text(encoding="utf-8")), clean=False
    )
    figure = docstring.partition("\n\n")[2].partition("\n\nScales")[0]
    assert "α = F + U·α_raw" in figure
    assert f"{figure}\n" in blocks(ROOT / "docs/how-it-works.md", "text")


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    run("jointmat demo", folder)
    return folder


@pytest.fixture
def folder(demo, tmp_path):
    """A folder with the files of `jointmat demo`."""
    shutil.copytree(demo / "out", tmp_path / "out")
    return tmp_path


@pytest.mark.parametrize("line", commands(r"\bjointmat (?!video)"))
def test_commands_run(line, folder):
    run(line, folder)


@pytest.mark.parametrize("line", commands(r"\bjointmat video"))
def test_commands_of_videos_run(line, folder):
    pytest.importorskip("av")
    run(line, folder)


@pytest.mark.parametrize("line", commands(r"^python -m export"))
def test_exports_run(line, folder):
    pytest.importorskip("torch")
    run(line, folder)


@pytest.fixture(scope="module")
def port():
    """Of a server that runs."""
    if importlib.util.find_spec("fastapi") is None or shutil.which("curl") is None:
        pytest.skip("needs the extra serve, and curl")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    command = [sys.executable, "-m", "jointmat", "serve", "--port", str(number)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(120):
                assert server.poll() is None, "the server ended"
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{number}/healthz", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.5)
            yield number
        finally:
            server.terminate()


@pytest.mark.parametrize("line", commands(r"^curl "))
def test_requests_are_answered(line, folder, port):
    run(line.replace("localhost:8000", f"localhost:{port}").replace("curl ", "curl --fail -sS "), folder)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_examples_run(page, folder):
    code = "\n".join(blocks(page, "python"))
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=ENVIRONMENT, check=True, timeout=300)


def test_something_is_run_of_every_kind():
    assert len(commands(r"\bjointmat ")) > 6 and commands(r"^curl ") and commands(r"^python -m export")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / path).exists(), path
    for path in re.findall(r"`((?:jointmat|configs|weights|train|export)/[^`]+\.\w+)`", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_and_modules_exist(page):
    text, makefile = page.read_text(encoding="utf-8"), (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make ([\w-]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for module in re.findall(r"python -m ((?:train|export|tests)(?:\.\w+)*)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
