"""What becomes of unusual and damaged videos."""

import io
import os
from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")

from PIL import Image

from jointmat.errors import InputError, VideoError
from jointmat.io.video import Frame, VideoReader, encoder, open_writer, writer
from tests.video.clips import STEP, TIME_BASE, image_at, packets, read, write


def copy(source, target, transparent=False, change=lambda image: image):
    """Through reader and writer; the reader's notes."""
    with VideoReader(source) as reader, open_writer(target, reader, transparent=transparent) as writer:
        for item in reader.items():
            if isinstance(item, Frame):
                writer.frame(item._replace(image=change(item.image)))
            else:
                writer.packet(item)
    return reader.notes


def close(one, other, levels=6):
    return np.abs(one.astype(int)[..., :3] - other[..., :3]).mean() < levels


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv", "webm"])
def test_frames_and_times_go_through(tmp_path, extension):
    source = write(tmp_path / "in.mp4")
    assert copy(source, tmp_path / f"out.{extension}") == []
    images, times = read(tmp_path / f"out.{extension}")
    assert len(images) == 10 and all(close(found, image_at(i)) for i, found in enumerate(images))
    np.testing.assert_allclose(times, np.arange(10) / 25, atol=1e-3)


def test_duration_is_kept_within_a_frame(tmp_path):
    source = write(tmp_path / "in.mp4")
    copy(source, tmp_path / "out.mp4")
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert abs(before.duration - after.duration) <= 40_000  # microseconds
        assert after.streams.video[0].average_rate == 25


def test_a_variable_frame_rate_stays_one(tmp_path):
    times = [0, 512, 1536, 1600, 5000, 5100, 9000]
    write(tmp_path / "in.mp4", times)
    copy(tmp_path / "in.mp4", tmp_path / "out.mp4")
    np.testing.assert_allclose(read(tmp_path / "out.mp4")[1], [float(t * TIME_BASE) for t in times], atol=1e-6)


@pytest.mark.parametrize("source", ["in.mp4", "in.mkv", "in.ts"])
@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize(
    "steps", [[0, 1, 5, 6, 60], [*range(10), *range(60, 80)], [*range(50), 100], range(30)], ids=str
)
def test_a_video_is_as_long_as_its_frames_are_shown(tmp_path, source, extension, steps):
    write(tmp_path / source, [step * STEP for step in steps])
    copy(tmp_path / source, tmp_path / f"out.{extension}")
    with av.open(str(tmp_path / f"out.{extension}")) as container:
        assert container.duration / av.time_base == pytest.approx((steps[-1] + 1) / 25, abs=0.03)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_is_applied_and_not_written_again(tmp_path, rotation):
    write(tmp_path / "in.mp4", rotation=rotation)
    copy(tmp_path / "in.mp4", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert frame.rotation == 0
        assert close(frame.to_ndarray(format="rgb24"), np.rot90(image_at(0), rotation // 90))


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
@pytest.mark.parametrize("mirrored", [(True, False), (False, True)])
def test_mirroring_is_applied(tmp_path, rotation, mirrored):
    write(tmp_path / "in.mp4", [0], rotation=rotation, mirrored=mirrored)
    turned = np.rot90(image_at(0), rotation // 90)
    with VideoReader(tmp_path / "in.mp4") as reader:
        assert close(next(reader.frames()).image, np.flip(turned, 1 if mirrored[0] else 0))


def test_a_matrix_of_the_lowest_numbers(tmp_path, recwarn):
    content = write(tmp_path / "in.mp4", [0]).read_bytes()
    upright = (1 << 16).to_bytes(4) + bytes(12) + (1 << 16).to_bytes(4)
    before, upright, after = content.rpartition(upright)  # the track's: the file's has the same one
    (tmp_path / "in.mp4").write_bytes(before + b"\x80\0\0\0" + upright[4:] + after)
    with VideoReader(tmp_path / "in.mp4") as reader:
        assert close(next(reader.frames()).image, np.fliplr(image_at(0)))
    assert not recwarn.list


def test_rotation_is_found_beside_data_that_pyav_does_not_know(tmp_path):
    """EXIF of a JPEG, of which one tag is the orientation, a quarter clockwise."""
    exif = Image.Exif()
    exif[0x112] = 6
    jpeg = io.BytesIO()
    Image.fromarray(image_at(0)).save(jpeg, "jpeg", exif=exif, quality=95)
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        packet = av.Packet(jpeg.getvalue())
        packet.pts = packet.dts = 0
        packet.time_base, packet.stream = Fraction(1, 25), stream
        container.mux(packet)
    with VideoReader(tmp_path / "in.mkv") as reader:
        assert close(next(reader.frames()).image, np.rot90(image_at(0), -1))


def test_a_pixel_on_its_side_has_the_other_aspect(tmp_path):
    for rotation, aspect in ((0, 2), (90, Fraction(1, 2))):
        write(tmp_path / "in.mp4", [0], rotation=rotation, aspect="2:1")
        with VideoReader(tmp_path / "in.mp4") as reader:
            next(reader.frames())
            assert reader.pixel_aspect == aspect


def test_sound_is_copied_bit_by_bit(tmp_path):
    write(tmp_path / "in.mp4", sound="aac")
    copy(tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert packets(tmp_path / "in.mp4", "audio") == packets(tmp_path / "out.mp4", "audio")
    assert len(read(tmp_path / "out.mp4")[0]) == 10


def test_sound_that_does_not_fit_is_encoded_again(tmp_path):
    write(tmp_path / "in.mp4", sound="aac")
    copy(tmp_path / "in.mp4", tmp_path / "out.webm")
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.audio[0].codec_context.name == "opus"
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(samples / 48000 - 0.4) < 0.1


@pytest.mark.parametrize(
    ("name", "codec", "extension"),
    [("in.mkv", "libopus", "mov"), ("in.mkv", "flac", "mov"), ("in.avi", "pcm_s16le", "mp4")],
)
def test_sound_that_the_muxer_refuses_is_encoded_again(tmp_path, name, codec, extension):
    """Of the last it does not say which of the two channels is the left one."""
    write(tmp_path / name, sound=codec, layout="stereo")
    copy(tmp_path / name, tmp_path / f"out.{extension}")
    with av.open(str(tmp_path / f"out.{extension}")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        sound = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
    assert np.abs(sound).max() > 0.1 and abs(sound.size / 2 / 48000 - 0.4) < 0.1


def test_a_damaged_packet_of_sound_is_silence(tmp_path):
    source = write(tmp_path / "in.mp4", sound="aac")
    with (
        VideoReader(source) as reader,
        open_writer(tmp_path / "out.webm", reader, transparent=False) as writer,
    ):
        for item in reader.items():
            if isinstance(item, Frame):
                writer.frame(item)
                continue
            damaged = av.Packet(b"damaged" * 3)
            damaged.stream, damaged.time_base = item.stream, item.time_base
            damaged.pts = damaged.dts = item.dts
            writer.packet(damaged)
            writer.packet(item)
    assert len(packets(tmp_path / "out.webm", "audio")) >= 20


def test_sound_that_becomes_stereo_on_the_way_is_encoded_again(tmp_path):
    first = write(tmp_path / "a.ts", sound="aac").read_bytes()
    second = write(tmp_path / "b.ts", range(10 * STEP, 20 * STEP, STEP), sound="aac", layout="stereo")
    (tmp_path / "in.ts").write_bytes(first + second.read_bytes())
    copy(tmp_path / "in.ts", tmp_path / "out.webm")
    with av.open(str(tmp_path / "out.webm")) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(samples / 48000 - 0.8) < 0.15


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv", "webm"])
def test_sound_whose_times_jump_back_is_left_out_and_noted(tmp_path, extension):
    part = write(tmp_path / "part.ts", sound="aac")
    (tmp_path / "in.ts").write_bytes(2 * part.read_bytes())
    (note,) = copy(tmp_path / "in.ts", tmp_path / f"out.{extension}")
    assert "in.ts: the times of a track of sound jump back" in note
    assert len(read(tmp_path / f"out.{extension}")[0]) == 20
    found = packets(tmp_path / f"out.{extension}", "audio")
    expected = packets(part, "audio")
    assert extension == "webm" or len(expected) <= len(found) < 2 * len(expected)


@pytest.mark.parametrize("channels", ["mono", "stereo", "5.1"])
def test_sound_that_is_encoded_again_has_at_most_two_channels(tmp_path, channels):
    write(tmp_path / "in.mp4", sound="aac", layout=channels)
    copy(tmp_path / "in.mp4", tmp_path / "out.webm")
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.audio[0].layout.name == ("mono" if channels == "mono" else "stereo")
        sound = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
    assert np.abs(sound).max() > 0.1


HOURS = 5 * 3600 * 12800


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("sound", [None, "aac"])
def test_a_start_after_zero_is_not_blank_time(tmp_path, extension, sound):
    source = write(tmp_path / "in.ts", range(HOURS, HOURS + 50 * STEP, STEP), sound=sound)
    target = tmp_path / f"out.{extension}"
    assert copy(source, target) == []
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert before.start_time > 3600e6 and after.start_time < 40_000  # microseconds
        assert abs(before.duration - after.duration) <= 40_000
    assert abs(delay(source) - delay(target)) < (0.01 if sound else 1e-9)


def delay(path):
    """Seconds from the first image to the first sound."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return 0.0
        image = next(container.decode(video=0)).time
    with av.open(str(path)) as container:
        return next(container.decode(audio=0)).time - image


@pytest.mark.parametrize(("extension", "size"), [("mp4", (48, 66)), ("webm", (47, 65))])
def test_odd_sizes(tmp_path, extension, size):
    """H.264 gets the last row and column twice; VP9 keeps the size."""
    write(tmp_path / "in.mkv", size=(47, 65), codec="ffv1")
    copy(tmp_path / "in.mkv", tmp_path / f"out.{extension}")
    images, _ = read(tmp_path / f"out.{extension}")
    assert images[0].shape[:2] == size and close(images[0][:47, :65], image_at(0, (47, 65)))


def test_one_frame(tmp_path):
    write(tmp_path / "in.mp4", [0])
    copy(tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert len(read(tmp_path / "out.mp4")[0]) == 1


def test_damaged_packets_are_skipped_and_the_rest_keeps_its_times(tmp_path):
    source = write(tmp_path / "good.mov", codec="png", pixels="rgb24")
    with av.open(str(source)) as before, av.open(str(tmp_path / "in.mov"), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for index, packet in enumerate(p for p in before.demux(video=0) if p.dts is not None):
            new = av.Packet(b"damaged" * 20 if index == 4 else bytes(packet))
            new.pts, new.dts, new.time_base, new.stream = packet.pts, packet.dts, packet.time_base, stream
            new.duration = packet.duration
            after.mux(new)
    notes = copy(tmp_path / "in.mov", tmp_path / "out.mp4")
    assert len(notes) == 1 and notes[0].endswith("1 damaged packets skipped")
    images, times = read(tmp_path / "out.mp4")
    np.testing.assert_allclose(times, np.array([0, 1, 2, 3, 5, 6, 7, 8, 9]) / 25, atol=1e-3)
    assert close(images[4], image_at(5))


def test_a_file_that_ends_too_early_gives_what_it_has(tmp_path):
    data = write(tmp_path / "in.mkv", range(0, 100 * STEP, STEP)).read_bytes()
    (tmp_path / "in.mkv").write_bytes(data[: len(data) // 2])
    copy(tmp_path / "in.mkv", tmp_path / "out.mp4")
    assert 10 < len(read(tmp_path / "out.mp4")[0]) < 100


def test_a_change_of_resolution_is_scaled_to_the_first_size(tmp_path):
    first = write(tmp_path / "a.ts").read_bytes()
    second = write(tmp_path / "b.ts", range(10 * STEP, 20 * STEP, STEP), (96, 128)).read_bytes()
    (tmp_path / "in.ts").write_bytes(first + second)
    (note,) = copy(tmp_path / "in.ts", tmp_path / "out.mp4")
    assert "resolution changes" in note
    images, times = read(tmp_path / "out.mp4")
    assert {found.shape[:2] for found in images} == {(48, 64)} and len(images) == 20
    assert (np.diff(times) > 0).all()


def test_ten_bits_are_rounded(tmp_path):
    write(tmp_path / "in.mkv", codec="ffv1", pixels="yuv420p10le")
    assert copy(tmp_path / "in.mkv", tmp_path / "out.mp4") == []
    assert close(read(tmp_path / "out.mp4")[0][3], image_at(3))


@pytest.mark.parametrize("extension", ["webm", "mov"])
def test_alpha(tmp_path, extension):
    def cut(image):
        return np.dstack([image, np.where(np.arange(64) < 32, 255, 0) * np.ones((48, 1))]).astype(np.uint8)

    copy(write(tmp_path / "in.mp4"), tmp_path / f"out.{extension}", transparent=True, change=cut)
    images, times = read(tmp_path / f"out.{extension}", "libvpx-vp9" if extension == "webm" else None)
    alpha = images[5][..., 3]
    assert alpha[:, :28].min() > 240 and alpha[:, 36:].max() < 15 and len(times) == 10


def test_a_folder_of_images(tmp_path):
    copy(write(tmp_path / "in.mp4", [0, 512, 5000], sound="aac"), tmp_path / "out")
    rows = (tmp_path / "out" / "frames.csv").read_text().split()
    assert rows == [
        "file,seconds,duration",
        "frame-000001.png,0.000000,0.040000",
        "frame-000002.png,0.040000,0.350625",
        "frame-000003.png,0.390625,0.040000",
    ]
    with pytest.raises(InputError, match="exists and is not an empty folder"):
        copy(tmp_path / "in.mp4", tmp_path / "out")


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_a_folder_is_followed(tmp_path, there):
    (tmp_path / "link").symlink_to("real")
    if there:
        (tmp_path / "real").mkdir()
    copy(write(tmp_path / "in.mp4", [0]), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == ["frame-000001.png", "frames.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "link", "real"]


def test_an_empty_folder_is_filled_not_replaced(tmp_path):
    """It may be where a disk is mounted."""
    (tmp_path / "out").mkdir()
    before = (tmp_path / "out").stat().st_ino
    copy(write(tmp_path / "in.mp4", [0]), tmp_path / "out")
    assert (tmp_path / "out").stat().st_ino == before and len(list((tmp_path / "out").iterdir())) == 2


def test_the_times_of_a_folder_begin_with_the_video(tmp_path):
    copy(write(tmp_path / "in.ts", range(HOURS, HOURS + 10 * STEP, STEP)), tmp_path / "out")
    rows = (tmp_path / "out" / "frames.csv").read_text().split()
    assert rows[1:3] == ["frame-000001.png,0.000000,0.040000", "frame-000002.png,0.040000,0.040000"]


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("level", [64, 128, 255])
def test_grey_keeps_its_levels(tmp_path, extension, level):
    source = write(tmp_path / "in.mp4", [0, STEP])
    target = tmp_path / f"out.{extension}"
    copy(source, target, change=lambda image: np.full(image.shape[:2], level, np.uint8))
    for found in read(target)[0]:
        colours = found[..., :3].astype(int)
        assert np.abs(colours.mean(axis=(0, 1)) - level).max() <= 1  # single pixels have VP9's noise
        assert np.ptp(colours, axis=2).max() <= 1


def test_an_error_on_the_way_leaves_nothing(tmp_path):
    source = write(tmp_path / "in.mp4")

    def fail(image):
        raise RuntimeError("on the way")

    for name in ("out.mp4", "out"):
        with pytest.raises(RuntimeError, match="on the way"):
            copy(source, tmp_path / name, change=fail)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_disk_that_is_full_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    source = write(tmp_path / "in.mp4")
    monkeypatch.setattr(writer, "atomic_write", full_disk(writer.atomic_write))
    with pytest.raises(Exception, match=r"out.mp4: cannot be written: No space left"):
        copy(source, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def full_disk(atomic_write):
    from contextlib import contextmanager

    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            raise OSError(28, "No space left on device")

        def __getattr__(self, name):
            return getattr(self.file, name)

    @contextmanager
    def wrapped(path):
        with atomic_write(path) as file:
            yield Full(file)

    return wrapped


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.mp4")
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        block.sample_rate = 8000
        container.mux(stream.encode(block))
    expected = {
        "text.mp4": "cannot be read as a video",
        "empty.mp4": "cannot be read as a video",
        "none.mp4": "no such file",
        "pipe.mp4": "not a regular file",
        "sound.wav": "holds no video",
        ".": "not a regular file",
    }
    for name, cause in expected.items():
        with pytest.raises(VideoError, match=cause):
            VideoReader(tmp_path / name)


def test_names_with_a_colon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "10:30.mp4", sound="aac")
    for name in ("talk: part 1.mp4", "file:out.webm", "a:b/out.mp4", "a:b/out"):
        (tmp_path / "a:b").mkdir(exist_ok=True)
        copy("10:30.mp4", name)
        assert (tmp_path / name).exists()


def test_colours_that_cannot_be_read_are_one_line_with_the_name_of_the_source(tmp_path):
    source = write(tmp_path / "in.mkv", codec="ffv1", pixels="yuv444p", colorspace="ycgco")
    with pytest.raises(
        VideoError, match=r"in.mkv: its colours \(YCgCo, yuv444p\) cannot be read as RGB: convert"
    ):
        copy(source, tmp_path / "out.mp4")


def test_codecs_that_are_not_there(tmp_path, monkeypatch):
    source = write(tmp_path / "in.mkv")
    unknown = source.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XYZ")
    (tmp_path / "unknown.mkv").write_bytes(unknown)
    with pytest.raises(VideoError, match=r"unknown.mkv: .*codec"):
        VideoReader(tmp_path / "unknown.mkv")
    missing = encoder._Codec("libmissing", "yuv420p", {})
    monkeypatch.setitem(encoder.CONTAINERS, ".mp4", encoder._Container("mp4", missing))
    with pytest.raises(VideoError, match=r"out.mp4: cannot be written: .*libmissing"):
        copy(source, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("name", "transparent", "cause"),
    [
        ("out.avi", False, "got the format .avi, expected .mp4"),
        ("out.mp4", True, r"has no alpha: choose .*\.webm"),
        ("no/such/out.mp4", False, "no such folder"),
        ("no/such/out", False, "no such folder"),
    ],
)
def test_targets_that_cannot_be_written(tmp_path, name, transparent, cause):
    source = write(tmp_path / "in.mp4")
    with pytest.raises(InputError, match=cause):
        copy(source, tmp_path / name, transparent)


def test_the_count_is_known_or_guessed(tmp_path):
    for name in ("in.mp4", "in.mkv"):
        with VideoReader(write(tmp_path / name)) as reader:
            assert reader.count == 10 and reader.rate == Fraction(25)
