"""Every frame's time and the length of the file, container by container and pattern by pattern."""

import json
import shutil
import subprocess
from fractions import Fraction
from itertools import pairwise

import pytest

av = pytest.importorskip("av")

from jointmat.io.video import Frame, VideoReader, open_writer
from tests.video.clips import STEP, image_at, write

FPS25 = Fraction(25), Fraction(1, 12800), 512
NTSC = Fraction(30000, 1001), Fraction(1, 30000), 1001
FPS60 = Fraction(60), Fraction(1, 90000), 1500

PATTERNS = {
    "constant": (NTSC, range(12), 1),
    "fast": (FPS60, range(12), 1),
    "variable": (FPS25, [0, 1, 2, 5, 6, 9, 30, 31], 1),
    "pause at the start": (FPS25, [0, *range(100, 110)], 1),
    "pause at the end": (FPS60, [*range(10), 100], 1),
    "the last frame stays": (NTSC, range(12), 40),
    "late start": (FPS25, range(25, 37), 1),
}
"""(rate, unit and units of a frame), times of the frames in frames, and how many the last one is shown"""

# An encoder of sound ends with a whole packet; those of AAC and Opus are at most 1024 samples of 48 kHz.
PACKET = Fraction(1024, 48000)


def make(path, pattern, b_frames, sound):
    """A clip whose packets tell the duration of their frames."""
    (rate, unit, step), places, last = PATTERNS[pattern]
    times = [place * step for place in places]
    durations = dict(zip(times, [b - a for a, b in pairwise(times)] + [last * step], strict=True))
    vp9 = path.suffix == ".webm"
    with av.open(str(path), "w") as container:
        options = (
            {"deadline": "realtime", "cpu-used": "8"} if vp9 else {"preset": "ultrafast", "bf": str(b_frames)}
        )
        stream = container.add_stream("libvpx-vp9" if vp9 else "libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = unit
        voice = container.add_stream("libopus" if vp9 else "aac", rate=48000, layout="mono") if sound else None
        packets = []
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(image_at(index), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = time, unit
            packets += stream.encode(frame)
        packets += stream.encode(None)
        container.start_encoding()
        for packet in packets:
            duration = durations[round(packet.pts * packet.time_base / unit)]
            packet.duration = round(duration * unit / packet.time_base)
            container.mux(packet)
        if voice:
            length = int((times[-1] + last * step) * unit * 48000)
            block = av.AudioFrame(format="fltp", layout="mono", samples=length)
            for plane in block.planes:
                plane.update(bytes(plane.buffer_size))
            block.sample_rate, block.pts, block.time_base = 48000, 0, Fraction(1, 48000)
            container.mux([*voice.encode(block), *voice.encode(None)])
    return path


def convert(source, target):
    with VideoReader(source) as reader, open_writer(target, reader, transparent=False) as writer:
        for item in reader.items():
            if isinstance(item, Frame):
                writer.frame(item)
            else:
                writer.packet(item)
    assert reader.notes == []


def timing(path):
    """Times of the frames and the end of the file, seconds, and the tick of the stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [frame.pts * stream.time_base for frame in container.decode(stream)]
        start = 0 if "matroska" in container.format.name else container.start_time
        return times, Fraction(start + container.duration, av.time_base), stream.time_base


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("sound", [False, True])
@pytest.mark.parametrize("source", ["in.mp4", "in.mov", "in.mkv", "in.webm"])
@pytest.mark.parametrize("target", ["out.mp4", "out.mov", "out.mkv", "out.webm", "out.nut"])
def test_times_are_kept(tmp_path, pattern, sound, source, target):
    (_, unit, step), places, last = PATTERNS[pattern]
    make(tmp_path / source, pattern, 2, sound)
    convert(tmp_path / source, tmp_path / target)
    before, _, tick = timing(tmp_path / source)
    after, end, own_tick = timing(tmp_path / target)
    allowed = max(tick, own_tick)
    if source in ("in.mp4", "in.mov"):
        allowed = max(allowed, Fraction(1, 1000))  # in which these files tell their length
    assert len(after) == len(before) == len(places)
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) <= max(tick, own_tick)
    if target == "out.nut" or (
        pattern in ("variable", "the last frame stays") and source in ("in.mp4", "in.mov")
    ):
        return  # NUT has no durations; with B-frames MP4 tells that of another frame
    shown_until = (places[-1] + last) * step * unit
    assert abs(end - shown_until) <= allowed + (2 * PACKET if sound else 0)


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffprobe is not installed")
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("target", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
def test_ffprobe_agrees(tmp_path, pattern, target):
    (_, unit, step), places, last = PATTERNS[pattern]
    convert(make(tmp_path / "in.mkv", pattern, 0, sound=False), tmp_path / target)
    asked = ["-show_entries", "frame=pts_time:format=duration", "-of", "json", tmp_path / target]
    found = json.loads(subprocess.check_output(["ffprobe", "-v", "error", *asked]))
    times = [float(frame["pts_time"]) for frame in found["frames"]]
    assert times == pytest.approx([float(place * step * unit) for place in places], abs=1e-3)
    if pattern != "late start":  # of MP4, releases of FFmpeg count it into the duration or not
        end = float((places[-1] + last) * step * unit)
        assert float(found["format"]["duration"]) == pytest.approx(end, abs=1.1e-3)


def test_an_edit_list_leaves_out_what_it_skips(tmp_path):
    """The first ten of forty frames are there for decoding alone."""
    with (
        av.open(str(write(tmp_path / "whole.mp4", range(0, 40 * STEP, STEP)))) as whole,
        av.open(str(tmp_path / "in.mp4"), "w", container_options={"avoid_negative_ts": "disabled"}) as cut,
    ):
        stream = cut.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - 10 * STEP, packet.dts - 10 * STEP, stream
                cut.mux(packet)
    convert(tmp_path / "in.mp4", tmp_path / "out.mp4")
    times, end, _ = timing(tmp_path / "out.mp4")
    assert times == [Fraction(i, 25) for i in range(30)] and end == Fraction(30, 25)


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.ts"])
def test_a_frame_is_shown_until_the_next(tmp_path, name):
    steps = [0, 1, 5, 6, 60]
    with VideoReader(write(tmp_path / name, [step * STEP for step in steps])) as reader:
        shown = [round(float(frame.duration * reader.time_base), 3) for frame in reader.frames()]
    assert shown[:-1] == [0.04, 0.16, 0.04, 2.16] and 0 < shown[-1] <= 0.1
