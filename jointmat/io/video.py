"""Read and write video with PyAV, frame by frame, so that memory does not grow with length.

What comes in leaves as upright RGB frames with their times; sound passes as packets, undecoded where the output
can hold its codec, and encoded again as mono or stereo where not. The times of the frames are kept, so that a
variable frame rate stays one; they count from the start of the file, which recordings of broadcasts put hours
after zero.

* A rotation or mirroring that the file asks for is applied, and not written again.
* Damaged packets are skipped and noted; the frames around them keep their times.
* Where times jump back, frames follow each other at once, and sound is left out and noted.
* When the resolution changes on the way, later frames are scaled to the size of the first.
* More than 8 bits are rounded to 8. HDR (PQ, HLG) is not tone mapped: its levels are taken as they are, and that
  is noted.
* H.264 needs even sides: an odd one gets its last row or column twice. Other codecs keep the size.
* Of the tags of a file none is copied: they may hold a place and a time.
"""

import csv
import io
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, TypeAlias, cast

import cv2
import numpy as np

from jointmat.errors import DependencyError, InputError, VideoError
from jointmat.io.atomic import atomic_write, printable

try:
    import av
except ImportError as missing:
    raise DependencyError("video needs PyAV: pip install 'jointmat[video]'") from missing
from av.audio.resampler import AudioResampler
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace, ColorTrc

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

_UNSPECIFIED = 2  # of FFmpeg's enumerations of colour
_HD_ROWS = 720  # from which on unmarked video is BT.709 by custom
_HDR = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}
_UNUSUAL = {8: "YCgCo", 10: "BT.2020 of constant luminance", 14: "ICtCp"}  # spaces that FFmpeg does not convert
_USUAL_RATE = Fraction(30)
_SOUND_RATE = 48000  # of sound that is encoded again, as Opus wants it


class Frame(NamedTuple):
    """One picture of a video."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB, upright; written frames may be grey (H, W) or RGBA (H, W, 4)"""
    time: int
    """when it is shown, from the start of the file, in units of the video's time base"""
    duration: int
    """how long, in the same units; 0 if that is not known"""


Item: TypeAlias = Frame | Packet
"""A frame, or a packet of sound."""


class VideoReader:
    """A video file to go through once, in a `with` block.

    Attributes
    ----------
    path : of the file
    time_base : seconds, of the frames' times
    rate : frames a second, on average
    count : frames, as far as the file tells or its duration lets guess; None if it does not
    sound : its audio stream or None
    start, pixel_aspect : time of the first frame, and width of a pixel to its height; from the first frame on
    notes : what was repaired or ignored on the way

    Raises
    ------
    VideoError
        A file that is missing, not a video, damaged at its start, or of a codec that is not there.
    """

    def __init__(self, path: str | Path):
        self.name = printable(path)
        if not Path(path).is_file():
            cause = "not a regular file" if Path(path).exists() else "no such file"
            raise VideoError(f"{self.name}: {cause}")
        self.path = Path(path)
        try:
            self._container = open_input(path)
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError(f"{self.name}: cannot be read as a video: {_cause(error)}") from error
        self._stream = self._picture_stream()
        self.sound: AudioStream | None = next(iter(self._container.streams.audio), None)
        if self.sound is not None and self.sound.codec_context is None:
            self.sound = None
        self.time_base: Fraction = self._stream.time_base or 1 / _USUAL_RATE
        self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or _USUAL_RATE)
        self._origin = Fraction(self._container.start_time or 0, av.time_base)  # seconds, of pictures and sound
        self.count = self._count()
        self.notes: list[str] = []
        self.pixel_aspect = Fraction(1)
        self._size: tuple[int, ...] | None = None
        self.start = 0
        self._last: int | None = None

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self) -> Iterator[Frame]:
        """The pictures alone."""
        return (item for item in self.items(sound=False) if isinstance(item, Frame))

    def items(self, sound: bool = True) -> Iterator[Item]:
        """Pictures and packets of sound in the order of the file."""
        streams = [self._stream, self.sound] if sound and self.sound is not None else [self._stream]
        damaged = 0
        for packet in self._packets(streams):
            if packet.stream is not self._stream:
                if packet.dts is not None:
                    # Sound comes in the order it is shown: where pts is not dts, it is damage.
                    packet.pts = packet.dts = packet.dts - round(self._origin / packet.time_base)
                    yield packet
                continue
            try:
                decoded = packet.decode()
            except av.error.FFmpegError:
                damaged += 1
                continue
            for frame in decoded:
                yield self._upright(frame)
        if damaged:
            self.notes.append(f"{self.name}: {damaged} damaged packets skipped")

    def _packets(self, streams: list[Any]) -> Iterator[Packet]:
        packets = self._container.demux(streams)
        while True:
            try:
                yield next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                self.notes.append(f"{self.name}: reading stopped where the file is damaged: {_cause(error)}")
                return

    def _picture_stream(self) -> "VideoStream":
        cover = av.stream.Disposition.attached_pic
        streams = [s for s in self._container.streams.video if not s.disposition & cover]
        if not streams:
            raise VideoError(f"{self.name}: holds no video")
        stream = streams[0]
        if stream.codec_context is None:
            raise VideoError(f"{self.name}: its codec is not known to this PyAV ({av.__version__})")
        stream.thread_type = "SLICE"  # threads by frame would lose good frames beside a damaged one
        return stream

    def _count(self) -> int | None:
        if self._stream.frames:
            return self._stream.frames
        if self._stream.duration:
            seconds = self._stream.duration * self.time_base
        elif self._container.duration:
            seconds = Fraction(self._container.duration, av.time_base)
        else:
            return None
        return max(1, round(seconds * self.rate))

    def _rgb(self, frame: "av.VideoFrame") -> np.ndarray:
        space = frame.colorspace
        if space == _UNSPECIFIED:
            space = Colorspace.ITU709 if frame.height >= _HD_ROWS else Colorspace.ITU601
        try:
            return frame.to_ndarray(format="rgb24", src_colorspace=space)
        except av.error.FFmpegError as error:
            colours = f"{_UNUSUAL.get(space, f'of space {space}')}, {frame.format.name}"
            advice = "convert the file to BT.709 first"
            raise VideoError(f"{self.name}: its colours ({colours}) cannot be read as RGB: {advice}") from error

    def _upright(self, frame: "av.VideoFrame") -> Frame:
        (a, b), (c, d) = _display_matrix(frame)
        sideways = abs(b) > abs(a)
        image = self._rgb(frame)
        if sideways:
            image = image.swapaxes(0, 1)
        backwards = tuple(axis for axis, step in enumerate((b, c) if sideways else (d, a)) if step < 0)
        image = np.ascontiguousarray(np.flip(image, backwards))
        if self._size is None:
            self._size = image.shape
            aspect = self._stream.sample_aspect_ratio or 1
            self.pixel_aspect = Fraction(1 / aspect if sideways else aspect)
            if frame.color_trc in _HDR:
                kind = _HDR[ColorTrc(frame.color_trc)]
                self.notes.append(f"{self.name}: HDR ({kind}) is not tone mapped and will look pale")
        elif image.shape != self._size:
            note = f"{self.name}: the resolution changes on the way; frames are scaled to the first one's size"
            if note not in self.notes:
                self.notes.append(note)
            image = cv2.resize(image, self._size[1::-1], interpolation=cv2.INTER_AREA)
        return Frame(image, self._time(frame), frame.duration or 0)

    def _time(self, frame: "av.VideoFrame") -> int:
        """Its time, or what it must be: later than that of the frame before."""
        step = max(1, round(1 / (self.rate * self.time_base)))
        time = None if frame.pts is None else frame.pts - round(self._origin / self.time_base)
        if self._last is None:
            time = self.start = time or 0
        elif time is None:
            time = self._last + step
        else:
            time = max(time, self._last + 1)
        self._last = time
        return time


def open_input(path: str | Path) -> "InputContainer":
    """Open a file by its absolute path, since what stands before a colon may be a protocol.

    Playlists may name other places, which are left alone.
    """
    return av.open(str(Path(path).absolute()), container_options={"protocol_whitelist": "file"})


def _display_matrix(frame: "av.VideoFrame") -> Any:
    """(2, 2): x and y on the screen (right, down) of a step to the right in the frame, and of one down."""
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV lists nothing beside a kind of data that it does not know
        turn = math.radians(frame.rotation)
        return (math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))
    return ((1, 0), (0, 1)) if data is None else np.frombuffer(data, np.int32).reshape(3, 3)[:2, :2]


class Writer(Protocol):
    """Takes frames and sound in order."""

    def frame(self, frame: Frame) -> None:
        """Add a picture; all must have one size."""

    def sound(self, packet: Packet) -> None:
        """Add a packet of the reader's sound."""


_LAYOUTS: dict[tuple[int, ...], str] = {(3,): "rgb24", (4,): "rgba"}
_TO_OPENCV: dict[tuple[int, ...], int | None] = {(): None, (3,): cv2.COLOR_RGB2BGR, (4,): cv2.COLOR_RGBA2BGRA}


class _Codec(NamedTuple):
    name: str
    pixels: str
    options: dict[str, str]


# With subpixel motion refined once instead of twice, two thirds of the time for 3 % more bytes.
_H264 = _Codec("libx264", "yuv420p", {"preset": "veryfast", "crf": "18", "subq": "1"})
_VP9_SPEED = {"crf": "28", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}
_VP9 = _Codec("libvpx-vp9", "yuv420p", _VP9_SPEED)
_VP9_ALPHA = _Codec("libvpx-vp9", "yuva420p", _VP9_SPEED | {"auto-alt-ref": "0"})
_PRORES = _Codec("prores_ks", "yuva444p10le", {"profile": "4444", "vendor": "apl0"})

_CONTAINERS: dict[str, tuple[str, _Codec, str]] = {
    ".mp4": ("mp4", _H264, "aac"),
    ".mov": ("mov", _H264, "aac"),
    ".mkv": ("matroska", _H264, "aac"),
    ".webm": ("webm", _VP9, "libopus"),
}
"""By extension: format, codec of pictures, and codec of sound that cannot be copied."""
_TRANSPARENT = {".webm": _VP9_ALPHA, ".mov": _PRORES}


def check_target(path: str | Path, transparent: bool) -> None:
    """InputError for a path that such a video cannot be written to; a path without extension is a folder."""
    target, extension = Path(path), Path(path).suffix.lower()
    if not extension:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"{printable(target)}: exists and is not an empty folder")
    elif extension not in _CONTAINERS:
        expected = ", ".join(_CONTAINERS)
        raise InputError(f"{printable(target)}: got the format {extension}, expected {expected}, or a folder")
    elif transparent and extension not in _TRANSPARENT:
        advice = "choose .webm (VP9), .mov (ProRes 4444) or a folder (PNG), or give a background"
        raise InputError(f"{printable(target)}: {extension} has no alpha: {advice}")


def open_writer(
    path: str | Path, reader: VideoReader, *, transparent: bool, sound: bool = True
) -> AbstractContextManager[Writer]:
    """A file or folder to write to, which appears under its name when the block ends, whole or not at all.

    Parameters
    ----------
    path : .mp4, .mov, .mkv (H.264), .webm (VP9); with `transparent` .webm (VP9) or .mov (ProRes 4444); without
        extension a folder of PNG, with the times in frames.csv and without sound
    reader : whose times and sound it takes
    transparent : frames are RGBA
    sound : False for a file without a track of it; none may be added then

    Raises
    ------
    InputError
        A path that cannot be written, or a format that cannot hold what is asked for.
    VideoError
        A codec that is not there, or that fails.
    JointmatError
        The disk is full or failed.
    """
    check_target(path, transparent)
    target = Path(path)
    return _file_writer(target, reader, transparent, sound) if target.suffix else _folder_writer(target, reader)


@contextmanager
def _file_writer(target: Path, reader: VideoReader, transparent: bool, sound: bool) -> Iterator["_FileWriter"]:
    with atomic_write(target) as file:
        try:
            with _FileWriter(file, target.suffix.lower(), reader, transparent, sound) as writer:
                yield writer
        except (av.error.FFmpegError, av.codec.codec.UnknownCodecError) as error:
            raise VideoError(f"{printable(target)}: cannot be written: {_cause(error)}") from error


@contextmanager
def _folder_writer(target: Path, reader: VideoReader) -> Iterator["_FolderWriter"]:
    real = Path(os.path.realpath(target))
    exists = real.is_dir()  # perhaps a mount point, which cannot be replaced
    temporary = (real if exists else real.parent) / f".jointmat-{secrets.token_hex(8)}.tmp"
    try:
        temporary.mkdir()
        writer = _FolderWriter(temporary, reader.time_base)
        yield writer
        writer.close()
        if exists:
            for file in temporary.iterdir():
                file.rename(real / file.name)
        else:
            temporary.rename(real)
    except OSError as error:
        cause = "no such folder" if isinstance(error, FileNotFoundError) else error.strerror
        raise InputError(f"{printable(target)}: cannot be written: {cause}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _FileWriter:
    """The encoder opens with the first frame, whose size it needs."""

    def __init__(self, file: BinaryIO, extension: str, reader: VideoReader, transparent: bool, sound: bool):
        format_name, codec, self._sound_codec = _CONTAINERS[extension]
        self._codec = _TRANSPARENT[extension] if transparent else codec
        av.Codec(self._codec.name, "w")  # fails now, if it is not there
        self._reader = reader
        self._container: OutputContainer = av.open(file, "w", format=format_name)
        self._stream: VideoStream | None = None
        self._source = reader.sound if sound else None
        self._sound: AudioStream | None = None
        self._copies_sound = False
        self._resamplers: dict[tuple[str, str, int], AudioResampler] = {}
        self._early: list[Packet] = []  # sound from before the first frame
        self._sound_time: Fraction | None = None  # of the packet written last, seconds

    def __enter__(self) -> "_FileWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is not None:
            with suppress(av.error.FFmpegError, OSError):
                self._container.close()
            return
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        if self._sound is not None and not self._copies_sound:
            self._mux_sound(self._sound.encode(None))
        self._container.close()

    def frame(self, frame: Frame) -> None:
        image = frame.image
        if image.ndim == 2:  # FFmpeg's own way from grey to YUV darkens and tints it
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        if self._codec is _H264:
            below, right = (side % 2 for side in image.shape[:2])
            if below or right:
                image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        if self._stream is None:
            self._stream = self._open(image.shape[1], image.shape[0])
            if self._source is not None:
                self._sound = self._open_sound(self._source)
            for packet in self._early:
                self.sound(packet)
        layout = _LAYOUTS[image.shape[2:]]
        picture = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format=layout)
        picture = picture.reformat(
            format=self._codec.pixels, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        picture.pts, picture.time_base = frame.time, self._reader.time_base
        picture.duration = frame.duration
        self._container.mux(self._stream.encode(picture))

    def sound(self, packet: Packet) -> None:
        if self._stream is None:
            self._early.append(packet)
            return
        assert self._sound is not None
        if self._copies_sound:
            self._mux_sound([packet])
            return
        pieces: list[Any] = []
        with suppress(av.error.FFmpegError):  # a damaged packet is a short silence
            pieces = packet.decode()
        for piece in pieces:
            for alike in self._resampler(piece).resample(piece):
                self._mux_sound(self._sound.encode(alike))

    def _resampler(self, piece: "av.AudioFrame") -> AudioResampler:
        """To the encoder's kind of sound, from the kind that the source has now: it may change on the way."""
        assert self._sound is not None
        kind, context = (piece.format.name, piece.layout.name, piece.sample_rate), self._sound.codec_context
        if kind not in self._resamplers:
            self._resamplers[kind] = AudioResampler(context.format, context.layout, context.sample_rate)
        return self._resamplers[kind]

    def _mux_sound(self, packets: list[Packet]) -> None:
        """Write those that come a sample or more after the one before, as muxers want it."""
        assert self._sound is not None
        for packet in packets:
            assert packet.dts is not None
            time = packet.dts * packet.time_base
            if self._sound_time is not None and time < self._sound_time + Fraction(1, self._sound.rate):
                note = f"{self._reader.name}: the times of its sound jump back; what came there is left out"
                if note not in self._reader.notes:
                    self._reader.notes.append(note)
                continue
            self._sound_time = time
            packet.stream = self._sound
            self._container.mux(packet)

    def _open(self, width: int, height: int) -> "VideoStream":
        stream = cast(
            "VideoStream",
            self._container.add_stream(
                self._codec.name, rate=self._reader.rate, options=dict(self._codec.options)
            ),
        )
        stream.width, stream.height, stream.pix_fmt = width, height, self._codec.pixels
        context = stream.codec_context
        context.time_base = self._reader.time_base
        context.sample_aspect_ratio = self._reader.pixel_aspect
        context.colorspace = context.color_primaries = context.color_trc = Colorspace.ITU709
        context.color_range = ColorRange.MPEG
        return stream

    def _open_sound(self, source: "AudioStream") -> "AudioStream":
        self._copies_sound = _takes_sound(self._container.format.name, self._reader.path)
        if self._copies_sound:
            return self._container.add_stream_from_template(source)
        stream = cast("AudioStream", self._container.add_stream(self._sound_codec, rate=_SOUND_RATE))
        stream.codec_context.layout = "mono" if source.codec_context.layout.nb_channels == 1 else "stereo"
        return stream


def _takes_sound(format_name: str, path: Path) -> bool:
    """Whether a format takes the sound of a file as it is: a packet is tried, since muxers promise too much."""
    try:
        with open_input(path) as source, av.open(io.BytesIO(), "w", format=format_name) as trial:
            sound = source.streams.audio[0]
            stream = trial.add_stream_from_template(sound)
            trial.start_encoding()
            for packet in islice((packet for packet in source.demux(sound) if packet.dts is not None), 1):
                packet.stream = stream
                trial.mux(packet)
    except (av.error.FFmpegError, ValueError):  # ValueError: the codec is not of this format
        return False
    return True


class _FolderWriter:
    def __init__(self, folder: Path, time_base: Fraction):
        self._folder, self._time_base = folder, time_base
        self._rows = [("file", "seconds")]

    def frame(self, frame: Frame) -> None:
        name = f"frame-{len(self._rows):06}.png"
        code = _TO_OPENCV[frame.image.shape[2:]]
        image = frame.image if code is None else cv2.cvtColor(frame.image, code)
        (self._folder / name).write_bytes(cv2.imencode(".png", image)[1].tobytes())
        self._rows.append((name, f"{float(frame.time * self._time_base):.6f}"))

    def sound(self, packet: Packet) -> None:
        """There is no place for it."""

    def close(self) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self._rows)
        (self._folder / "frames.csv").write_text(text.getvalue(), encoding="utf-8")


def _cause(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).partition("\n")[0]
