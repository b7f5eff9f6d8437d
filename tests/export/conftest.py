"""Files that several tests of this folder read; do not change them."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

import export.publish
from export.publish import publish
from tests.train.conftest import material  # noqa: F401 (a fixture)


class Published(NamedTuple):
    """The tiny model as it would ship."""

    folder: Path
    printed: list[str]


@pytest.fixture(scope="session")
def published(exported, material, tmp_path_factory):  # noqa: F811
    """With INT8, too; into a folder where an earlier publication has left something."""
    folder = tmp_path_factory.mktemp("published")
    for outdated in ("tiny-old.onnx", "other.onnx"):
        (folder / outdated).write_bytes(b"of other weights")
    (folder / "tiny.json").write_text('{"sha256": {"tiny-old.onnx": "", "tiny.onnx": "", "../x": ""}}')

    def export_again(_, path, *, source):
        assert source.name == "tiny.safetensors" and not (folder / "tiny.safetensors").exists()
        shutil.copy(exported.onnx, path)
        return exported.comparison

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export.publish, "export_onnx", export_again)  # which takes long
        settings = {"count": 3, "side": 256, "budget": 0.005, "images": 2, "commands": ["first", "second"]}
        printed = list(publish(exported.weights, "tiny", folder, material, **settings))
    return Published(folder, printed)
