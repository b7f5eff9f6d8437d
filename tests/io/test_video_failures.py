import builtins

import pytest

av = pytest.importorskip("av")

from jointmat.errors import InputError, JointmatError, VideoError
from jointmat.io.video import Frame, VideoReader, open_writer
from jointmat.io.video.failures import as_video_error
from tests.video.clips import write

OTHERS = (Warning, MemoryError, BaseExceptionGroup, StopIteration, StopAsyncIteration)
BUILT_IN = sorted(
    {kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, Exception)},
    key=lambda kind: kind.__name__,
)
BUILT_IN = [kind for kind in BUILT_IN if not issubclass(kind, OTHERS)]
UNICODE = {
    UnicodeDecodeError: ("utf-8", b"\xdf", 0, 1, "invalid"),
    UnicodeEncodeError: ("utf-8", "x", 0, 1, "invalid"),
    UnicodeTranslateError: ("x", 0, 1, "invalid"),
}


def made(kind):
    return kind(*UNICODE.get(kind, ("first\nsecond",)))


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.__name__)
def test_any_exception_is_one_line_with_the_name(kind):
    with (
        pytest.raises(VideoError, match=r"^in.mp4: cannot be read: .") as found,
        as_video_error("in.mp4: cannot be read"),
    ):
        raise made(kind)
    assert "\n" not in str(found.value) and isinstance(found.value.__cause__, kind)


def test_an_exception_without_words_is_named_by_its_class():
    with pytest.raises(VideoError, match=r"in.mp4: KeyError"), as_video_error("in.mp4"):
        raise KeyError


def test_memory_that_ffmpeg_cannot_have_is_trouble_with_the_file():
    with pytest.raises(VideoError, match=r"in.mp4: "), as_video_error("in.mp4"):
        raise av.error.MemoryError(12, "Cannot allocate memory")


@pytest.mark.parametrize("kind", [InputError, JointmatError, MemoryError, KeyboardInterrupt])
def test_the_packages_own_errors_pass(kind):
    with pytest.raises(kind) as found, as_video_error("in.mp4"):
        raise kind("own")
    assert found.type is kind


def read(path):
    with VideoReader(path) as reader:
        list(reader.items())


class Failing:
    """Stands for an object of PyAV: some of its methods raise."""

    def __init__(self, whole, error, names):
        self._whole, self._error, self._names = whole, error, names

    def __getattr__(self, name):
        if name in self._names:
            raise self._error
        return getattr(self._whole, name)


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.__name__)
def test_whatever_reading_raises_names_the_file(tmp_path, monkeypatch, kind):
    source = write(tmp_path / "in.mp4", [0])
    whole = av.open
    for names in (["streams"], ["metadata"], ["demux"], ["start_time"]):
        monkeypatch.setattr(av, "open", lambda *a, n=names, **k: Failing(whole(*a, **k), made(kind), n))
        with pytest.raises(VideoError, match=r"in.mp4: cannot be read"):
            read(source)


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.__name__)
def test_whatever_writing_raises_names_the_file(tmp_path, monkeypatch, kind):
    source = write(tmp_path / "in.mp4", [0])
    with VideoReader(source) as reader:
        (frame,) = reader.frames()
        whole = av.open
        for names in (["add_stream"], ["mux"], ["close"], ["metadata"]):
            monkeypatch.setattr(av, "open", lambda *a, n=names, **k: Failing(whole(*a, **k), made(kind), n))
            with (
                pytest.raises(VideoError, match=r"out.mp4: cannot be written"),
                open_writer(tmp_path / "out.mp4", reader, transparent=False) as writer,
            ):
                writer.frame(frame)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\nsecret.ts\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile secret.ts\n",
    "list.mp4": "ffconcat version 1.0\nfile secret.ts\n",
    "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlists_are_not_followed(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "secret.ts")
    (tmp_path / name).write_text(PLAYLISTS[name])
    with pytest.raises(VideoError, match=name):
        read(tmp_path / name)


def full(after):
    """A file on a disk that is full after some bytes."""

    class Full:
        written = 0

        def __init__(self, file):
            self.file = file

        def write(self, data):
            Full.written += len(data)
            if Full.written > after:
                raise OSError(28, "No space left on device")
            return self.file.write(data)

        def __getattr__(self, name):
            return getattr(self.file, name)

    return Full


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.webm", "out.nut"])
@pytest.mark.parametrize("after", [0, 100])
def test_a_full_disk_is_one_line_without_pyavs_traceback(tmp_path, monkeypatch, capfd, name, after):
    from contextlib import contextmanager

    from jointmat.io.video import writer as module

    whole = module.atomic_write

    @contextmanager
    def limited(path):
        with whole(path) as file:
            yield full(after)(file)

    monkeypatch.setattr(module, "atomic_write", limited)
    source = write(tmp_path / "in.mp4")
    with (
        pytest.raises(JointmatError, match=f"{name}: cannot be written: No space left"),
        VideoReader(source) as reader,
        open_writer(tmp_path / name, reader, transparent=False) as writer,
    ):
        for item in reader.items():
            if isinstance(item, Frame):
                writer.frame(item)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
    assert capfd.readouterr().err == ""
