"""With stand-ins for the camera, the window and the virtual camera."""

import sys
from itertools import islice
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from jointmat.errors import DependencyError, DeviceError, InputError
from jointmat.matte import Matte
from jointmat.video.camera import open_camera, parse_size, show


class Capture:
    """Gives three blue frames (as OpenCV, BGR), bright at the left."""

    def __init__(self, number):
        self.left, self.released = (3 if number == 0 else 0), False

    def isOpened(self):  # noqa: N802
        return self.left > 0

    def set(self, key, value):
        return True

    def read(self):
        self.left -= 1
        frame = np.zeros((24, 32, 3), np.uint8)
        frame[:, :16, 0] = 255
        return self.left >= 0, frame

    def release(self):
        self.released = True


def matter(image):
    alpha = image.max(axis=2).astype(np.float32) / 255
    return Matte(image, alpha, alpha, alpha)


def test_frames_are_rgb_and_the_camera_is_given_back(monkeypatch):
    captures = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: captures.append(Capture(number)) or captures[-1])
    with open_camera(0, (1280, 720)) as frames:
        found = list(islice(frames, 3))
    assert found[0][0, 0].tolist() == [0, 0, 255] and captures[0].released


def test_a_camera_that_stops_is_one_line(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    with (
        open_camera(0, (640, 480)) as frames,
        pytest.raises(DeviceError, match="camera 0 stopped"),
    ):
        list(frames)
    monkeypatch.setattr(Capture, "read", lambda self: (False, None))
    with open_camera(0, (640, 480)) as frames, pytest.raises(DeviceError, match="camera 0 sends no image"):
        list(frames)


def test_no_camera_is_one_line(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    with pytest.raises(DeviceError, match="cannot open camera 7"), open_camera(7, (640, 480)):
        pass


@pytest.fixture
def sent(monkeypatch):
    """What a virtual camera is given: its size, the frames, and "closed"."""
    sent = []

    class Camera:
        def __init__(self, width, height, fps):
            sent.append((width, height))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            sent.append("closed")

        send = staticmethod(sent.append)

    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=Camera))
    return sent


def test_the_virtual_camera_gets_composites(monkeypatch, sent):
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    with open_camera(0, (32, 24)) as frames:
        assert show(islice(frames, 3), matter, (255, 0, 0), virtual=True, mirror=True) == 3
    assert len(sent) == 5 and sent[0] == (32, 24) and sent[4] == "closed"
    assert sent[1][12, 28].tolist() == [0, 0, 255] and sent[1][12, 4].tolist() == [255, 0, 0]


@pytest.fixture
def window(monkeypatch):
    """A list of what a stand-in for the window shows."""
    shown = []
    monkeypatch.setattr(cv2, "namedWindow", lambda title: None)
    monkeypatch.setattr(cv2, "destroyWindow", lambda title: shown.append("closed"))
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda delay: -1)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda title, key: 1.0)
    return shown


def five_frames():
    return iter([np.zeros((24, 32, 3), np.uint8)] * 5)


def test_q_ends_it(monkeypatch, window):
    monkeypatch.setattr(cv2, "waitKey", lambda delay: ord("q") if len(window) == 2 else -1)
    assert show(five_frames(), matter, "blur") == 2 and window[2] == "closed"


def test_closing_the_window_ends_it(monkeypatch, window):
    def no_window(*_):
        raise cv2.error("NULL guiReceiver")

    def visible(*_):
        return 0.0 if len(window) == 2 else 1.0

    monkeypatch.setattr(cv2, "getWindowProperty", visible)
    assert show(five_frames(), matter, "blur") == 2
    for name in ("getWindowProperty", "destroyWindow"):  # as Qt does after the last window
        monkeypatch.setattr(cv2, name, no_window)
    assert show(five_frames(), matter, "blur") == 1


def test_a_window_that_does_not_tell_whether_it_is_open_goes_on(monkeypatch, window):
    monkeypatch.setattr(cv2, "getWindowProperty", lambda title, key: -1.0)
    assert show(five_frames(), matter, "blur") == 5


def test_what_is_not_there_is_one_line(monkeypatch):
    frame = np.zeros((24, 32, 3), np.uint8)

    def fail(*_):
        raise cv2.error("no display")

    monkeypatch.setattr(cv2, "namedWindow", fail)
    with pytest.raises(DeviceError, match="no window can be opened here"):
        show(iter([frame]), matter, "blur")

    def no_driver(*_):
        raise RuntimeError("no v4l2loopback\nmore")

    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=no_driver))
    with pytest.raises(DeviceError, match=r"no virtual camera: no v4l2loopback$"):
        show(iter([frame]), matter, "blur", virtual=True)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(DependencyError, match=r"pip install .*\[camera\]'"):
        show(iter([frame]), matter, "blur", virtual=True)
    assert show(iter([]), matter, "blur") == 0


@pytest.mark.parametrize("text", ["", "1280", "1280x", "0x720", "axb"])
def test_sizes(text):
    assert parse_size("640x480") == (640, 480)
    with pytest.raises(InputError, match="expected WIDTHxHEIGHT"):
        parse_size(text)


def test_the_command_from_end_to_end_with_a_video_for_the_camera(sent, tmp_path):
    """Frames of a file through network and compositing to a virtual camera, whose driver is a stand-in."""
    pytest.importorskip("av")
    pytest.importorskip("onnx")
    from jointmat.cli.main import cli
    from tests.fakes import brightness_model
    from tests.video.clips import STEP, write

    source = write(tmp_path / "in.mp4", range(0, 5 * STEP, STEP), sound="aac")
    model = brightness_model(tmp_path / "brightness.onnx")
    arguments = ["--from", source, "--virtual", "--background", "#0000ff", "--model", model]
    cli.main(["camera", *map(str, arguments)], standalone_mode=False)
    size, *images, end = sent
    assert (size, len(images), end) == ((64, 48), 5, "closed")
    for index, image in enumerate(images):
        assert image[14, 18 + index].min() > 180  # the bright square stays
        assert image[40, 8, 2] > 180 and image[40, 8, :2].max() < 80  # in front of blue


def test_a_stand_in_keeps_the_pace_of_its_frames(monkeypatch, tmp_path):
    pytest.importorskip("av")
    from jointmat.video import camera
    from tests.video.clips import STEP, write

    now = [100.0]
    monkeypatch.setattr(camera.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(camera.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    with camera.open_stand_in(str(write(tmp_path / "in.mp4", [0, 5 * STEP, 6 * STEP]))) as frames:
        shown = [now[0] - 100 for _ in frames]
    assert shown == pytest.approx([0, 0.2, 0.24])
