"""A video file as upright RGB frames and packets of sound."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.reformatter import Colorspace, ColorTrc

from jointmat.errors import VideoError
from jointmat.io.atomic import printable
from jointmat.io.video.frames import Frame, Item, reason

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

_UNSPECIFIED = 2  # of FFmpeg's enumerations of colour

_HD_ROWS = 720  # from which on unmarked video is BT.709 by custom

_HDR = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}

_UNUSUAL = {8: "YCgCo", 10: "BT.2020 of constant luminance", 14: "ICtCp"}  # spaces that FFmpeg does not convert

_USUAL_RATE = Fraction(30)


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
            raise VideoError(f"{self.name}: cannot be read as a video: {reason(error)}") from error
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
                self.notes.append(f"{self.name}: reading stopped where the file is damaged: {reason(error)}")
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
