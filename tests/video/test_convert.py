"""Whole videos through the pipeline, with a model whose alpha is the image's brightness."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import click
import numpy as np
import pytest

av = pytest.importorskip("av")
pytest.importorskip("onnx")

from PIL import Image

from jointmat.errors import InputError, JointmatWarning, VideoError
from jointmat.io.video import Frame
from jointmat.io.write import save_image
from jointmat.matte import Matte
from jointmat.predictor import Predictor
from jointmat.video import convert, matte_video
from jointmat.video.backdrops import open_backdrop
from jointmat.video.convert import Interrupted
from tests.video.clips import STEP, image_at, packets, read, write

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def predictor(model):
    return Predictor(model, threads=1)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_subject_stands_in_front_of_the_new_background(tmp_path, predictor):
    source = write(tmp_path / "in.mp4", sound="aac")
    report = matte_video(source, tmp_path / "out.mp4", background=(0, 0, 255), predictor=predictor)
    assert report.frames == 10 and all(report.busy.values()) and "frames/s; per frame decode" in str(report)
    images, times = read(tmp_path / "out.mp4")
    for index, found in enumerate(images):
        assert found[14, 20 + index, :3].min() > 200  # the square stays
        assert found[40, 8, 2] > 200 and found[40, 8, :2].max() < 60  # the rest is blue, a little of the grey
    np.testing.assert_allclose(times, np.arange(10) / 25, atol=1e-6)
    assert packets(source, "audio") == packets(tmp_path / "out.mp4", "audio")
    assert names(tmp_path) == ["in.mp4", "out.mp4"]


def test_every_kind_of_output(tmp_path, predictor):
    source = write(tmp_path / "in.mp4", sound="aac")
    matte_video(source, tmp_path / "alpha.mp4", only_alpha=True, predictor=predictor)
    matte_video(source, tmp_path / "cut.webm", predictor=predictor)
    matte_video(source, tmp_path / "cut", predictor=predictor, sound=False)
    grey = read(tmp_path / "alpha.mp4")[0][0]
    assert grey[14, 20, 0] > 200 and grey[40, 60, 0] < 60
    cut = np.asarray(Image.open(tmp_path / "cut" / "frame-000001.png"))
    assert cut.shape == (48, 64, 4) and cut[14, 20, 3] > 200 and cut[40, 60, 3] < 60
    assert len(read(tmp_path / "cut.webm")[0]) == 10


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv", "webm"])
def test_without_sound_there_is_no_track_for_it(tmp_path, predictor, extension):
    target = tmp_path / f"out.{extension}"
    source = write(tmp_path / "in.mp4", sound="aac")
    matte_video(source, target, background="blur", predictor=predictor, sound=False)
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize("background", ["image", "blur", "#00ff00"])
def test_backgrounds(tmp_path, predictor, background):
    source = write(tmp_path / "in.mp4")
    if background == "image":
        background = tmp_path / "behind.png"
        save_image(background, np.full((20, 90, 3), (0, 255, 0), np.uint8))
    matte_video(source, tmp_path / "out.mp4", background=background, predictor=predictor)
    found = read(tmp_path / "out.mp4")[0][2]
    assert found[14, 24, 0] > 200
    assert found[40, 8, 1] < 100 if background == "blur" else found[40, 8, 1] > 200


def test_a_video_behind_plays_in_time_and_starts_again(tmp_path, predictor):
    """Three frames of it, each as long as two of the source."""
    behind = tmp_path / "behind.mp4"
    with av.open(str(behind), "w") as container:
        stream = container.add_stream("libx264", rate=12, options={"crf": "5"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for index, level in enumerate((60, 120, 180)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), (0, level, 0), np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = write(tmp_path / "in.mp4", range(0, 14 * STEP, STEP))
    matte_video(source, tmp_path / "out.mp4", background=behind, predictor=predictor)
    greens = [int(found[40, 8, 1]) for found in read(tmp_path / "out.mp4")[0]]
    steps = np.digitize(greens, [85, 140])
    assert steps.tolist()[:2] == [0, 0] and set(steps) == {0, 1, 2}
    assert (np.diff(steps) == -2).sum() == 2  # from the last to the first, twice in 14 frames


def test_an_image_behind_pixels_that_are_wide_is_not_stretched(tmp_path, predictor):
    """A red square of 48 pixels in an image that is scaled to a half is shown as 24 rows of 12 wide pixels."""
    behind = np.full((96, 256, 3), (0, 255, 0), np.uint8)
    behind[48:, 160:208] = 255, 0, 0
    save_image(tmp_path / "behind.png", behind)
    source = write(tmp_path / "in.mp4", [0], aspect="2:1")
    matte_video(source, tmp_path / "out.mp4", background=tmp_path / "behind.png", predictor=predictor)
    row = read(tmp_path / "out.mp4")[0][0][36]
    assert row[42:50, 0].min() > 150 and row[[36, 56], 0].max() < 100


def test_a_video_behind_of_wide_pixels_is_not_stretched(tmp_path):
    backdrop = open_backdrop(write(tmp_path / "behind.mp4", aspect="2:1"))
    for aspect, size in ((2, (48, 64)), (1, (24, 64)), (4, (48, 32))):
        assert backdrop(0.0, (48, 64), Fraction(aspect)).shape[:2] == size


def test_nothing_becomes_more_opaque_than_it_was(tmp_path, predictor):
    """The bright square of the source is cut in two by its alpha."""
    with av.open(str(tmp_path / "in.mov"), "w") as container:
        stream = container.add_stream("qtrle", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "argb"
        alpha = np.full((48, 64), 255, np.uint8)
        alpha[14:] = 0
        for index in range(3):
            pixels = np.dstack([image_at(index), alpha])
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format="argb")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    matte_video(tmp_path / "in.mov", tmp_path / "cut", predictor=predictor)
    cut = np.asarray(Image.open(tmp_path / "cut" / "frame-000001.png"))
    assert cut[8, 20, 3] > 200 and cut[14:, :, 3].max() == 0


def test_no_frame_is_an_error_and_leaves_nothing(tmp_path, predictor):
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.start_encoding()
    with pytest.raises(VideoError, match=r"in.mp4"):
        matte_video(tmp_path / "in.mp4", tmp_path / "out.mp4", background="blur", predictor=predictor)
    assert names(tmp_path) == ["in.mp4"]


def test_notes_are_warnings(tmp_path, predictor):
    write(tmp_path / "in.mp4", sound="aac")
    with pytest.warns(JointmatWarning, match="sound left out"):
        matte_video(tmp_path / "in.mp4", tmp_path / "out", only_alpha=True, predictor=predictor)


def test_a_video_without_a_person_says_so(tmp_path, predictor):
    with av.open(str(tmp_path / "dark.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    for background in ("blur", None):
        with pytest.warns(JointmatWarning, match=r"dark.mp4: no person found"):
            matte_video(tmp_path / "dark.mp4", tmp_path / "out.mov", background=background, predictor=predictor)


def test_an_error_in_any_stage_ends_all_and_leaves_nothing(tmp_path, predictor, monkeypatch):
    source = write(tmp_path / "in.mp4", range(0, 40 * STEP, STEP))

    def fail(*_, **__):
        raise RuntimeError("in a stage")

    for owner, name in ((predictor.backend, "run"), (Matte, "composite")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fail)
            with pytest.raises(RuntimeError, match="in a stage"):
                matte_video(source, tmp_path / "out.mp4", background="blur", predictor=predictor)
    assert names(tmp_path) == ["in.mp4"]


def test_ctrl_c_keeps_the_part_that_is_done(tmp_path, predictor, monkeypatch):
    source = write(tmp_path / "in.mp4", range(0, 200 * STEP, STEP), sound="aac")
    interrupt_at(20, monkeypatch)
    with pytest.raises(Interrupted):
        matte_video(source, tmp_path / "out.mp4", background="blur", predictor=predictor)
    images, times = read(tmp_path / "out.mp4")
    assert 20 <= len(images) < 60
    np.testing.assert_allclose(times, np.arange(len(times)) / 25, atol=1e-6)
    assert names(tmp_path) == ["in.mp4", "out.mp4"]


def ctrl_c():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_ctrl_c_while_the_file_is_closed_keeps_it(tmp_path, predictor, monkeypatch, name):
    source = write(tmp_path / "in.mp4", sound="aac")

    def interrupted(file):
        ctrl_c()
        sync(file)

    sync = os.fsync
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(Interrupted):
        matte_video(source, tmp_path / name, background="blur", predictor=predictor)
    assert len(read(tmp_path / name)[0]) == 10 and names(tmp_path) == sorted(["in.mp4", name])


def test_ctrl_c_twice_leaves_nothing(tmp_path, predictor, monkeypatch):
    source = write(tmp_path / "in.mp4", range(0, 200 * STEP, STEP))
    interrupt_at(20, monkeypatch, times=2)
    with pytest.raises(KeyboardInterrupt) as found:
        matte_video(source, tmp_path / "out.mp4", background="blur", predictor=predictor)
    assert found.type is KeyboardInterrupt and names(tmp_path) == ["in.mp4"]


def test_ctrl_c_before_the_first_frame_writes_nothing(tmp_path):
    class Reader:
        start, time_base, count, name, pixel_aspect = 0, 1, None, "in.mp4", 1

        def items(self):
            ctrl_c()
            for _ in range(10_000):
                yield av.Packet(1)

    class Writer:
        def packet(self, packet):
            pass

    with pytest.raises(KeyboardInterrupt) as found:
        convert._run(Reader(), None, None, nullcontext(Writer()), convert.Report(), False)
    assert found.type is KeyboardInterrupt


def test_ctrl_c_before_the_work_does_not_speak_of_an_older_file(tmp_path, model, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    source = write(tmp_path / "in.mp4")
    (tmp_path / "out.mp4").write_bytes(b"older")
    monkeypatch.setattr("jointmat.cli.video._predictor", interrupted)
    with pytest.raises(click.Abort):
        run(model, source, "-o", tmp_path / "out.mp4", "--background", "blur", "--overwrite")
    assert "holds" not in capsys.readouterr().err and (tmp_path / "out.mp4").read_bytes() == b"older"


def interrupt_at(frame, monkeypatch, times=1):
    import tqdm

    class Bar(tqdm.tqdm):
        count = 0

        def update(self, n=1):
            Bar.count += 1
            if Bar.count == frame:
                time.sleep(0.5)  # until further frames are on the way
            if frame <= Bar.count < frame + times:
                raise KeyboardInterrupt
            return super().update(n)

    monkeypatch.setattr(tqdm, "tqdm", Bar)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_at_the_command(tmp_path, model, sign):
    source = write(tmp_path / "in.mp4", range(0, 1500 * STEP, STEP))
    out = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "jointmat", "video", source, "-o", out, "--background", "blur"]
    process = subprocess.Popen([*map(str, command), "--model", str(model)], cwd=ROOT, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 60
        while not any(path.stat().st_size > 0 for path in tmp_path.glob(".jointmat-*.tmp")):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.02)
        process.send_signal(sign)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert errors.decode().split("\n") == [f"partial output kept in {out}", "", "interrupted", ""]
    assert 0 < len(read(out)[0]) < 1500
    assert names(tmp_path) == ["in.mp4", "out.mp4"]


def run(model, *arguments):
    from jointmat.cli.main import cli

    cli.main(["video", *map(str, arguments), "--model", str(model)], standalone_mode=False)


def test_the_command(tmp_path, model, capsys):
    source = write(tmp_path / "in.mp4")
    run(
        model, source, "-o", tmp_path / "out.webm", "--alpha", "--subject", "14,14", "--fill-holes", "--no-smooth"
    )
    assert "10 frames in" in capsys.readouterr().err
    assert len(read(tmp_path / "out.webm")[0]) == 10


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["-o", "out.mp4"], "--background, --alpha or --only-alpha"),
        (["-o", "out.webm", "--alpha", "--background", "blur"], "choose an output: --background"),
        (["-o", "in.mp4", "--background", "blur"], "is an input"),
        (["-o", "out.mp4", "--alpha"], "has no alpha"),
        (["-o", "out.avi", "--background", "blur"], "got the format .avi"),
        (["-o", "out.mp4", "--background", "blur", "--subject", "left"], "expected all, largest or x,y"),
        (["-o", "out.mp4", "--background", "none.png"], "none.png"),
        (
            ["-o", "out.mp4", "--background", "notes.txt"],
            "notes.txt: not an image, and cannot be read as a video",
        ),
        (["-o", "out.mp4", "--background", "colours.mkv"], "colours.mkv: not an image, and its colours"),
    ],
)
def test_what_the_command_refuses(tmp_path, model, monkeypatch, arguments, cause):
    monkeypatch.chdir(tmp_path)
    write("in.mp4", [0])
    write("colours.mkv", [0], codec="ffv1", pixels="yuv444p", colorspace="ycgco")
    Path("notes.txt").write_text("words")
    with pytest.raises((InputError, VideoError), match=cause):
        run(model, "in.mp4", *arguments)
    assert names(tmp_path) == ["colours.mkv", "in.mp4", "notes.txt"]


def test_without_the_package_it_is_one_line(tmp_path):
    code = "import sys; sys.modules['av'] = None; from jointmat.cli import main as cli; cli.main()"
    command = [sys.executable, "-c", code, "video", "in.mp4", "-o", "out.mp4", "--background", "blur"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"error: video needs PyAV: pip install .*\[video\]'\n", done.stderr)


def test_one_image_of_memory_per_stage(tmp_path, predictor):
    """Frames that wait, counted while the encoder is slow."""
    alive, most = set(), []

    class Slow:
        def frame(self, frame):
            time.sleep(0.002)
            most.append(len(alive))
            alive.discard(frame.time)

        def packet(self, packet):
            pass

    class Reader:
        start, time_base, count, name, pixel_aspect = 0, 1, 60, "in.mp4", 1

        def items(self):
            for number in range(60):
                alive.add(number)
                yield Frame(image_at(number), number, 1)

    matter = lambda image, _: Matte(image, np.ones(image.shape[:2], np.float32), image, image)  # noqa: E731
    opening = nullcontext(Slow())
    convert._run(Reader(), matter, lambda matte, *_: matte.image, opening, convert.Report(), False)
    assert max(most) <= 16 and not alive
