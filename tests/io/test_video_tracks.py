"""What becomes of sound, subtitles, tags, chapters and attachments."""

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")

from jointmat.io.video import Frame, VideoReader, open_writer
from jointmat.io.video.tracks import kept_tags
from tests.video.clips import image_at

TEXTS = [(200, 600, "Hello"), (1000, 500, "again")]
"""(start, duration) of the subtitles, milliseconds, and what they say"""


def full(path, subtitles="subrip", tags=None, chapters=True, attachment=False, languages=("ita", "eng")):
    """Two seconds with two tracks of sound and one of subtitles."""
    with av.open(str(path), "w") as container:
        container.metadata.update(tags or {})
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        voices = [container.add_stream("aac", rate=48000, layout="mono") for _ in range(2)]
        for voice, language, title in zip(voices, languages, ("Microphone", "Desktop"), strict=True):
            voice.metadata.update(language=language, title=title)
        text = container.add_mux_stream(subtitles)
        text.time_base = Fraction(1, 1000)
        text.metadata["language"] = "fra"
        if chapters:
            parts = [(1, 0, 800, "One"), (2, 800, 2000, "Two")]
            container.set_chapters(
                [
                    {"id": i, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": name}}
                    for i, a, b, name in parts
                ]
            )
        if attachment:
            container.add_attachment("notes.txt", "text/plain", b"notes")
        for index in range(50):
            frame = av.VideoFrame.from_ndarray(image_at(index), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for pitch, voice in enumerate(voices, 1):
            wave = np.sin(np.arange(96000) * pitch / 20).astype(np.float32)[None] / 4
            block = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = 48000, 0, Fraction(1, 48000)
            container.mux([*voice.encode(block), *voice.encode(None)])
        for start, duration, words in TEXTS:
            packet = av.Packet(words.encode())
            packet.pts = packet.dts = start
            packet.duration, packet.time_base, packet.stream = duration, Fraction(1, 1000), text
            container.mux(packet)
    return path


def convert(source, target, **options):
    """The reader's notes."""
    with VideoReader(source, **options) as reader, open_writer(target, reader, transparent=False) as writer:
        for item in reader.items():
            if isinstance(item, Frame):
                writer.frame(item)
            else:
                writer.packet(item)
    return reader.notes


def texts(path):
    """(start, end, words) of the subtitles, seconds."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        for packet in container.demux(stream):
            for text in packet.decode() if packet.size else ():
                start = float(packet.pts * packet.time_base)
                end = start + float(packet.duration * packet.time_base)
                found.append((start, end, text.dialogue.decode().strip()))
    return found


@pytest.mark.parametrize(
    ("target", "codec"),
    [("out.mkv", "srt"), ("out.mp4", "mov_text"), ("out.mov", "mov_text"), ("out.webm", "webvtt")],
)
def test_all_tracks_are_kept(tmp_path, target, codec):
    assert convert(full(tmp_path / "in.mkv"), tmp_path / target) == []
    with av.open(str(tmp_path / target)) as container:
        types = [stream.type for stream in container.streams if stream.type != "data"]  # MP4's titles of chapters
        assert types == ["video", "audio", "audio", "subtitle"]
        assert [stream.language for stream in container.streams.audio] == ["ita", "eng"]
        (text,) = container.streams.subtitles
        assert (text.codec_context.name, text.language) == (codec, "fra")
    for (start, end, words), (begins, lasts, said) in zip(texts(tmp_path / target), TEXTS, strict=True):
        assert words == said
        # Matroska keeps what AAC puts before the beginning, and moves all its tracks by it.
        assert start == pytest.approx(begins / 1000, abs=0.03)
        assert end - start == pytest.approx(lasts / 1000, abs=0.002)


def test_both_tracks_of_sound_are_copied_bit_by_bit(tmp_path):
    convert(full(tmp_path / "in.mkv"), tmp_path / "out.mp4")

    def sound(path, index):
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=index) if packet.size]

    for index in (0, 1):
        assert sound(tmp_path / "in.mkv", index) == sound(tmp_path / "out.mp4", index)
    assert sound(tmp_path / "out.mp4", 0) != sound(tmp_path / "out.mp4", 1)


def test_subtitles_of_mp4_go_into_matroska(tmp_path):
    convert(full(tmp_path / "in.mkv"), tmp_path / "in.mp4")
    assert convert(tmp_path / "in.mp4", tmp_path / "out.mkv") == []
    assert [words for *_, words in texts(tmp_path / "out.mkv")] == ["Hello", "again"]


def test_without_sound_subtitles_stay(tmp_path):
    assert convert(full(tmp_path / "in.mkv"), tmp_path / "out.mkv", sound=False) == []
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [stream.type for stream in container.streams] == ["video", "subtitle"]


def test_subtitles_that_the_format_cannot_hold_are_named(tmp_path):
    source = full(tmp_path / "in.mkv", subtitles="dvd_subtitle")
    (note,) = convert(source, tmp_path / "out.webm")
    assert "subtitles" in note and "dvd" in note and "webm" in note


def test_languages_of_mov_are_those_that_quicktime_has_or_named(tmp_path):
    source = full(tmp_path / "in.mkv", languages=("deu", "hrv"))
    (note,) = convert(source, tmp_path / "out.mov")
    assert "hrv" in note and "mov cannot hold it" in note
    with av.open(str(tmp_path / "out.mov")) as container:
        assert [stream.language for stream in container.streams.audio] == ["ger", None]


@pytest.mark.parametrize("target", ["out.mkv", "out.mp4", "out.mov", "out.webm"])
def test_tags_and_chapters_are_kept(tmp_path, target):
    source = full(tmp_path / "in.mkv", tags={"title": "A talk", "comment": "in Straße"})
    assert convert(source, tmp_path / target) == []
    with av.open(str(tmp_path / target)) as container:
        tags = {name.lower(): text for name, text in container.metadata.items()}
        assert (tags["title"], tags["comment"]) == ("A talk", "in Straße")
        parts = [
            (float(part["start"] * part["time_base"]), part["metadata"]["title"]) for part in container.chapters()
        ]
    assert parts == [(0.0, "One"), (0.8, "Two")]


def test_tags_that_a_format_cannot_hold_are_named(tmp_path):
    (note,) = convert(full(tmp_path / "in.mkv", tags={"project": "x"}), tmp_path / "out.mp4")
    assert "mp4 cannot hold" in note and "PROJECT" in note


def test_the_place_of_the_recording_is_left_out_and_named(tmp_path):
    source = full(tmp_path / "in.mkv", tags={"title": "A talk", "location": "+48.1+011.5/"})
    (note,) = convert(source, tmp_path / "out.mkv")
    assert "place" in note and "LOCATION" in note
    assert b"+48.1" in source.read_bytes() and b"+48.1" not in (tmp_path / "out.mkv").read_bytes()


def test_tags_about_the_old_file_are_not_copied():
    tags = {"major_brand": "isom", "ENCODER": "x", "rotate": "90", "BPS-eng": "1", "title": "A talk"}
    assert kept_tags(tags) == ({"title": "A talk"}, [])


@pytest.mark.parametrize("name", ["in.mkv", "in.mp4", "in.mov", "in.avi"])
def test_tags_that_are_not_utf8_lose_those_letters_alone(tmp_path, name):
    from tests.video.clips import write

    source = write(tmp_path / name)
    with av.open(str(source)) as before, av.open(str(tmp_path / f"latin-{name}"), "w") as after:
        after.metadata["title"] = "Strasse und Weg"
        stream = after.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                after.mux(packet)
    data = (tmp_path / f"latin-{name}").read_bytes()
    assert b"Strasse" in data
    source.write_bytes(data.replace(b"Strasse", "Stra\xdfeX".encode("latin-1")))
    assert convert(source, tmp_path / "out.mkv") == []
    with av.open(str(tmp_path / "out.mkv")) as container:
        title = {name.lower(): text for name, text in container.metadata.items()}["title"]
    assert title.startswith("Stra") and title.endswith("eX und Weg")


def test_attachments_are_copied_or_named(tmp_path):
    source = full(tmp_path / "in.mkv", attachment=True)
    assert convert(source, tmp_path / "out.mkv") == []
    with av.open(str(tmp_path / "out.mkv")) as container:
        (attachment,) = container.streams.attachments
        assert (attachment.name, bytes(attachment.data)) == ("notes.txt", b"notes")
    (note,) = convert(source, tmp_path / "out.mp4")
    assert "attachments left out" in note and "notes.txt" in note


def test_further_tracks_of_video_are_named(tmp_path):
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        streams = [container.add_stream("libx264", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(image_at(0), format="rgb24")
            frame.pts = 0
            container.mux([*stream.encode(frame), *stream.encode(None)])
    (note,) = convert(tmp_path / "in.mkv", tmp_path / "out.mp4")
    assert "1 further video track is left out" in note
