"""Frames as video stores them, beside the RGB that they stand for."""

import cv2
import numpy as np
import pytest

av = pytest.importorskip("av")

from av.video.reformatter import Colorspace

from jointmat.io.video import VideoReader, Yuv
from tests.video.clips import STEP, image_at, write


@pytest.fixture
def image(rng):
    return np.clip(cv2.GaussianBlur(rng.normal(128, 600, (48, 64, 3)), (0, 0), 6), 0, 255).astype(np.uint8)


def near(found, expected, mean=1.5):
    return np.abs(found.astype(int) - expected).mean() < mean


def test_to_rgb_and_back(image):
    stored = Yuv.from_image(image)
    assert stored.size == (48, 64) and near(stored.rgb(), image, 3)
    small = cv2.resize(stored.rgb(), (32, 24), interpolation=cv2.INTER_AREA)
    assert near(stored.rgb((24, 32)), small)
    assert stored.guide((24, 32)).shape == (3, 24, 32) and stored.guide((24, 32)).max() <= 1


def test_parts_are_those_of_the_image(image):
    stored = Yuv.from_image(image)
    part = stored.part(slice(10, 30), slice(8, 44))
    assert part.size == (20, 36) and stored.part(slice(0, 48), slice(0, 64)) is stored
    np.testing.assert_array_equal(part.planes[0], stored.planes[0][10:30, 8:44])
    np.testing.assert_array_equal(part.planes[1], stored.planes[1][5:15, 4:22])


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("space", [Colorspace.ITU709, Colorspace.ITU601])
def test_frames_of_every_kind_have_their_colours(image, pixels, space):
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels, dst_colorspace=space)
    rgb = frame.to_ndarray(format="rgb24", src_colorspace=space)
    assert near(Yuv.from_frame(frame, space).rgb(), rgb, 3)


@pytest.mark.parametrize(
    "kind", [{}, {"rotation": 90}, {"rotation": 180}, {"mirrored": (True, False)}, {"pixels": "yuv444p"}]
)
def test_the_reader_gives_the_same_frames_either_way(tmp_path, kind):
    source = write(tmp_path / "in.mp4", **kind)
    with VideoReader(source) as plain, VideoReader(source, stored=True) as stored:
        pairs = list(zip(plain.frames(), stored.frames(), strict=True))
    assert len(pairs) == 10
    for one, other in pairs:
        assert isinstance(other.image, Yuv) and other[1:] == one[1:] and near(other.rgb, one.image, 2)


def test_odd_sides_and_transparency_come_as_rgb(tmp_path):
    odd = write(tmp_path / "odd.mkv", size=(47, 63), codec="ffv1", pixels="yuv444p")
    clear = write(tmp_path / "clear.mov", codec="qtrle", pixels="argb")
    for source in (odd, clear):
        with VideoReader(source, stored=True) as reader:
            assert isinstance(next(reader.frames()).image, np.ndarray)


def test_a_change_of_resolution_keeps_the_first_size(tmp_path):
    parts = [
        write(tmp_path / f"{i}.h264", size=size, times=range(0, 3 * STEP, STEP))
        for i, size in enumerate(((48, 64), (96, 128)))
    ]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with VideoReader(joined, stored=True) as reader:
        images = [frame.image for frame in reader.frames()]
        assert any("resolution" in note for note in reader.notes)
    assert {image.size for image in images} == {(48, 64)}
    assert near(images[-1].rgb(), cv2.resize(image_at(2, (96, 128)), (64, 48), interpolation=cv2.INTER_AREA), 3)
