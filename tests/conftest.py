"""Fixtures and settings that all tests share; without torch, the tests that need it are left out."""

import importlib.util
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

if TYPE_CHECKING:
    from export.verify import Comparison
    from jointmat.models.joint import JointMatting

# As under nohup, or `make test &` in a script: what is ignored or blocked would be so in every command, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "pthread_sigmask"):
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())

HAS_TORCH = importlib.util.find_spec("torch") is not None

if HAS_TORCH:
    import torch

    torch.set_num_threads(1)  # at these sizes threads only wait for each other
else:
    _NEEDS_TORCH = re.compile(
        r"^(import|from) (torch|tests\.tiny|jointmat\.(build|models|runtime\.torch))\b", re.M
    )
    collect_ignore = ["export", "train", "models", "baseline"]
    collect_ignore += [
        str(path)
        for path in Path(__file__).parent.rglob("test_*.py")
        if _NEEDS_TORCH.search(path.read_text(encoding="utf-8"))
    ]


class Exported(NamedTuple):
    """A tiny model in every form that it is saved in."""

    model: "JointMatting"
    weights: Path
    onnx: Path
    comparison: "Comparison"


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    if HAS_TORCH:
        torch.manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def little_shared_memory() -> list[str]:
    """What to put before a command for it to find 100 kB of shared memory."""
    mount = 'mount -t tmpfs -o size=100k none /dev/shm && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount")
    return prefix


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file whose alpha is the image's brightness; do not change it."""
    pytest.importorskip("onnx")
    from tests.fakes import brightness_model

    return brightness_model(tmp_path_factory.mktemp("model") / "brightness.onnx")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """Exported once for all tests, for it takes seconds; do not change the files."""
    pytest.importorskip("torch")
    from export.onnx import export_onnx
    from jointmat.weights import save_weights
    from tests.tiny import tiny_model

    folder = tmp_path_factory.mktemp("exported")
    weights, plain = folder / "tiny.safetensors", folder / "tiny.onnx"
    model = tiny_model()
    save_weights(model, weights)
    comparison = export_onnx(model, plain, source=weights)
    yield Exported(model, weights, plain, comparison)
