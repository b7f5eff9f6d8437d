"""A video file as upright RGB frames and packets of its other tracks."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.reformatter import Colorspace

from jointmat.errors import VideoError
from jointmat.io.atomic import printable
from jointmat.io.video.colours import Sdr, over_white
from jointmat.io.video.failures import as_video_error, cause
from jointmat.io.video.frames import Frame, Item, Reader
from jointmat.io.video.yuv import Yuv
from jointmat.ops.planes import Planes

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

_UNSPECIFIED = 2  # of FFmpeg's enumerations of colour

_HD_ROWS = 720  # from which on unmarked video is BT.709 by custom

_UNUSUAL = {8: "YCgCo", 10: "BT.2020 of constant luminance", 14: "ICtCp"}  # spaces that FFmpeg does not convert

_USUAL_RATE = Fraction(30)

_SAMPLED = 1000  # packets at most that are read ahead to find the first ones of sound

_ROUNDING = Fraction(1, 1000)  # seconds, in which MP4 may count the length of a file

_BUFFER = 1 << 18  # bytes that are read from the file at once

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders leave out the alpha of WebM


class VideoReader(Reader):
    """A video file as a `Reader`.

    Parameters
    ----------
    source : a path, or a binary file, which need not be seekable
    sound : False leaves out the tracks of sound
    stored : give frames as `Yuv` where that loses nothing: those of even sides without transparency

    Raises
    ------
    VideoError
        A file that is missing, not a video, damaged at its start, or of a codec that is not there.
    """

    def __init__(self, source: str | Path | BinaryIO, *, sound: bool = True, stored: bool = False):
        super().__init__()
        self._stored = stored
        if isinstance(source, str | Path):
            self.name = printable(source)
            if not Path(source).is_file():
                why = "not a regular file" if Path(source).exists() else "no such file"
                raise VideoError(f"{self.name}: {why}")
        else:
            self.name = "stdin"
        with as_video_error(f"{self.name}: cannot be read as a video"):
            # Closed with the reader.
            self._file = Path(source).open("rb") if isinstance(source, str | Path) else source  # noqa: SIM115
            self._container = _open(self._file)
            self._stream = self._video_stream()
            self._decoder = _alpha_decoder(self._stream)
            self.tracks = self._other_tracks(sound)
            self.tags = dict(self._container.metadata)
            self.chapters = list(self._container.chapters())
            self.time_base = Fraction(self._stream.time_base or 1 / _USUAL_RATE)
            self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or _USUAL_RATE)
            self._step = max(1, round(1 / (self.rate * self.time_base)))
            self._origin = self._zero()
            self.count = self._count()
            self._end = self._end_of_stream()
            self._reorders = self._stream.codec_context.has_b_frames
        self._size: tuple[int, ...] | None = None
        self._last: int | None = None
        self._sdr: Sdr | None = None
        self._packets = self._demuxed()
        self._ahead: deque[Packet] = deque()
        self.samples = self._sampled()

    def __exit__(self, *_: object) -> None:
        self._container.close()
        self._file.close()

    def items(self) -> Iterator[Item]:
        """A frame is shown until the next one: containers do not tell it reliably where frames are reordered."""
        held: Frame | None = None
        shortest: int | None = None
        for item in self._undated():
            if isinstance(item, Packet):
                yield item
                continue
            if held is not None:
                duration = item.time - held.time
                shortest = min(duration, shortest or duration)
                yield held._replace(duration=duration)
            held = item
        if held is not None:
            yield held._replace(duration=self._last_duration(held, shortest))

    def _undated(self) -> Iterator[Item]:
        """Packets and frames, with the file's own durations."""
        damaged = 0
        for packet in self._in_order():
            if packet.stream is not self._stream:
                if packet.dts is not None:
                    yield self._shifted(packet)
                continue
            with as_video_error(f"{self.name}: cannot be read"):
                try:
                    decoded = self._decoded(packet)
                except av.error.FFmpegError:
                    damaged += 1
                    continue
            for frame in decoded:
                with as_video_error(f"{self.name}: cannot be read"):
                    upright = self._upright(frame)
                yield upright
        if damaged:
            self.note(f"{self.name}: {damaged} damaged packets skipped")

    def _sampled(self) -> dict[int, Packet]:
        """Copies of the first packets of sound, read ahead, by the index of their track."""
        samples: dict[int, Packet] = {}
        waiting = {track.index for track in self.tracks if track.type == "audio"}
        while waiting and len(self._ahead) < _SAMPLED and (packet := next(self._packets, None)) is not None:
            self._ahead.append(packet)
            if packet.stream_index in waiting and packet.size:
                waiting.remove(packet.stream_index)
                samples[packet.stream_index] = _copy(packet)
        return samples

    def _in_order(self) -> Iterator[Packet]:
        while True:
            packet = self._ahead.popleft() if self._ahead else next(self._packets, None)
            if packet is None:
                return
            yield packet

    def _demuxed(self) -> Iterator[Packet]:
        packets: Iterator[Packet] | None = None
        while True:
            with as_video_error(f"{self.name}: cannot be read"):
                packets = packets or self._container.demux([self._stream, *self.tracks])
                try:
                    packet = next(packets, None)
                except av.error.FFmpegError as error:
                    self.note(f"{self.name}: reading stopped where the file is damaged: {cause(error)}")
                    return
            if packet is None:
                return
            yield packet

    def _decoded(self, packet: Packet) -> Sequence["av.VideoFrame"]:
        if self._decoder is None:
            return packet.decode()
        return self._decoder.decode(packet if packet.size else None)

    def _shifted(self, packet: Packet) -> Packet:
        """In time from the start; sound comes in the order in which it is heard, where pts is dts."""
        packet.pts = packet.dts = (packet.dts or 0) - round(self._origin / packet.time_base)
        return packet

    def _video_stream(self) -> "VideoStream":
        cover = av.stream.Disposition.attached_pic
        covers: list[VideoStream] = []
        streams: list[VideoStream] = []
        for stream in self._container.streams.video:
            (covers if stream.disposition & cover else streams).append(stream)
        if not streams:
            raise VideoError(f"{self.name}: holds no video")
        for kind, left_out in (("cover image", covers), ("further video track", streams[1:])):
            if left_out:
                self._leave_out(len(left_out), kind)
        stream = streams[0]
        if stream.codec_context is None:
            raise VideoError(f"{self.name}: its codec is not known to this PyAV ({av.__version__})")
        stream.thread_type = "SLICE"  # threads by frame would lose good frames beside a damaged one
        return stream

    def _other_tracks(self, sound: bool) -> list["Stream"]:
        streams = self._container.streams
        known = [s for s in (*streams.audio, *streams.subtitles) if s.codec_context is not None]
        left_out = len(streams.audio) + len(streams.subtitles) - len(known) + len(streams.data)
        if self._container.chapters() and self._container.format.name.startswith("mov"):
            left_out -= 1  # the track that holds their titles
        if left_out > 0:
            self._leave_out(left_out, "track of data or of an unknown codec", "tracks of data or unknown codecs")
        self.attachments = [(s.name or "", s.mimetype or "", s.data) for s in streams.attachments if s.data]
        return [s for s in known if sound or s.type != "audio"]

    def _leave_out(self, count: int, one: str, several: str | None = None) -> None:
        what = f"1 {one} is" if count == 1 else f"{count} {several or one + 's'} are"
        self.note(f"{self.name}: {what} left out")

    def _zero(self) -> Fraction:
        """Seconds from which times count. Broadcasts begin at any time; other files say when they begin."""
        start = self._container.start_time or 0
        if av.format.Flags.ts_discont in av.format.Flags(self._container.format.flags):
            return Fraction(start, av.time_base)
        return min(Fraction(0), (self._stream.start_time or 0) * self.time_base)

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

    def _end_of_stream(self) -> int:
        """End of the last frame, as the file states it; else 0.

        In MP4 the file's duration is the more reliable one, since that of a track may count the times of
        decoding, and in Matroska it is the only one. It is that of the longest track.
        """
        stream, container = self._stream, self._container
        ends = [Fraction(0)]
        if stream.duration:
            ends.append(((stream.start_time or 0) + stream.duration) * self.time_base)
        if container.duration and len(container.streams) == 1:
            counted_from = {"mov": container.start_time or 0, "matroska": 0}
            start = counted_from.get(container.format.name.partition(",")[0])
            if start is not None:
                ends.append(Fraction(start + container.duration, av.time_base))
        return round((max(ends) - self._origin) / self.time_base)

    def _last_duration(self, frame: Frame, shortest: int | None) -> int:
        """Duration of the last frame. Where frames are reordered, the file states that of another frame."""
        usual = shortest or self._step
        if not self._reorders:
            usual = frame.duration or usual
        told = self._end - frame.time
        rounded = abs(told - usual) * self.time_base < _ROUNDING
        return usual if told <= 0 or rounded else told

    def _pixels(self, frame: "av.VideoFrame") -> list[np.ndarray]:
        """Planes, uint8: (H, W, 3 or 4), or those of `Yuv`."""
        transparent = any(component.is_alpha for component in frame.format.components)
        layout = "rgba" if transparent else "rgb24"
        stored = self._stored and not transparent and not (frame.width % 2 or frame.height % 2)
        space = frame.colorspace
        if space == _UNSPECIFIED:
            space = Colorspace.ITU709 if frame.height >= _HD_ROWS else Colorspace.ITU601
        if self._sdr is None:
            self._sdr = Sdr()
        try:
            if self._sdr.needed(frame):
                pixels = self._sdr(frame, layout).to_ndarray()
                return Yuv.from_image(pixels).planes if stored else [pixels]
            if stored:
                return Yuv.from_frame(frame, space).planes
            return [frame.to_ndarray(format=layout, src_colorspace=space)]
        except av.error.FFmpegError as error:
            colours = f"{_UNUSUAL.get(space, f'space {space}')}, {frame.format.name}"
            advice = (
                "convert the file to BT.709 first, as with: ffmpeg -i IN -vf scale=out_color_matrix=bt709 OUT"
            )
            raise VideoError(f"{self.name}: its colours ({colours}) cannot be read as RGB: {advice}") from error

    def _upright(self, frame: "av.VideoFrame") -> Frame:
        (a, b), (c, d) = _display_matrix(frame)
        sideways = abs(b) > abs(a)
        backwards = tuple(axis for axis, step in enumerate((b, c) if sideways else (d, a)) if step < 0)
        planes = [plane.swapaxes(0, 1) if sideways else plane for plane in self._pixels(frame)]
        planes = [np.flip(plane, backwards) for plane in planes]
        if self._size is None:
            self._size = planes[0].shape[:2]
            aspect = self._stream.sample_aspect_ratio or 1
            self.pixel_aspect = Fraction(1 / aspect if sideways else aspect)
            self._note_of(frame)
        elif planes[0].shape[:2] != self._size:
            self.note(f"{self.name}: the resolution changes; frames are scaled to the size of the first")
            planes = _resized(planes, self._size)
        time, duration = self._time(frame), frame.duration or 0
        if len(planes) > 1:
            return Frame(Yuv.of_planes(planes), time, duration)
        image, alpha = over_white(np.ascontiguousarray(planes[0]))
        return Frame(image, time, duration, alpha)

    def _note_of(self, frame: "av.VideoFrame") -> None:
        if frame.interlaced_frame:
            self.note(
                f"{self.name}: is interlaced; for clean edges deinterlace it first, as with ffmpeg -vf bwdif"
            )
        captions: Any = None
        with suppress(ValueError):  # beside a kind of data that PyAV does not know it lists nothing
            captions = frame.side_data.get("A53_CC")
        if captions is not None:
            self._leave_out(1, "track of closed captions, inside the frames,")

    def _time(self, frame: "av.VideoFrame") -> int:
        """The frame's time, made later than that of the frame before if it is not."""
        time = None if frame.pts is None else frame.pts - round(self._origin / self.time_base)
        if self._last is None:
            time = self.start = max(0, time or 0)
        elif time is None:
            time = self._last + self._step
        else:
            time = max(time, self._last + 1)
        self._last = time
        return time


def _open(file: BinaryIO) -> "InputContainer":
    """Without any protocol, so that a playlist cannot lead to other files or addresses.

    FFmpeg reads what it needs to through the file alone. Tags that are not UTF-8 keep their other characters.
    """
    options = {"protocol_whitelist": ""}
    return av.open(file, "r", container_options=options, metadata_errors="replace", buffer_size=_BUFFER)


def _copy(packet: Packet) -> Packet:
    """At time zero, without what goes with it."""
    copied = Packet(bytes(packet))
    copied.pts = copied.dts = 0
    copied.time_base, copied.duration = packet.time_base, packet.duration
    return copied


def _alpha_decoder(stream: "VideoStream") -> Any:
    """A decoder for a WebM with alpha, where FFmpeg's default would leave that out; else None."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode", "0") in ("", "0"):
        return None
    decoder = av.CodecContext.create(name, "r")
    decoder.extradata = stream.codec_context.extradata
    return decoder


def _resized(planes: Planes, size: tuple[int, ...]) -> list[np.ndarray]:
    """Planes of an image at another size (H, W)."""
    resized = []
    for plane in planes:
        factor = planes[0].shape[0] // plane.shape[0]
        own_size = size[1] // factor, size[0] // factor
        other = cv2.resize(np.ascontiguousarray(plane), own_size, interpolation=cv2.INTER_AREA)
        resized.append(np.atleast_3d(other))
    return resized


def _display_matrix(frame: "av.VideoFrame") -> Any:
    """(2, 2): x and y on the screen (right, down) of a step to the right in the frame, and of one down."""
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV lists nothing beside a kind of data that it does not know
        turn = math.radians(frame.rotation)
        return (math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))
    # As Python's numbers, for the negative of the lowest int32 is none.
    return ((1, 0), (0, 1)) if data is None else np.frombuffer(data, np.int32).reshape(3, 3)[:2, :2].tolist()
