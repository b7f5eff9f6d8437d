"""Files that several tests of this folder read; do not change them."""

import pytest

from export.frames import Frames, convert_frames
from export.onnx import joint_properties, write


@pytest.fixture(scope="session")
def frames_export(exported, tmp_path_factory):
    """The variant for frames of the tiny model, long side 64, and how it compares with its reference."""
    path = tmp_path_factory.mktemp("frames") / "tiny-frames.onnx"
    graph = Frames(exported.model, side=64)
    shapes = [(1, 64, 64), (2, 40, 131), (1, 130, 33), (3, 200, 77), (1, 1, 7)]
    comparison = write(convert_frames(graph), graph, path, joint_properties(exported.model, None), shapes)
    return path, comparison


@pytest.fixture(scope="session")
def frames_file(frames_export):
    return frames_export[0]
