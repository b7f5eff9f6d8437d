"""Frames, sound and subtitles to a video file."""

import io
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace

from jointmat.io.video.colours import Palette
from jointmat.io.video.failures import as_video_error
from jointmat.io.video.frames import Frame, Reader
from jointmat.io.video.tracks import Track, kept_tags, note_lost_tracks, open_track
from jointmat.io.video.yuv import Yuv

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_LEAST_TIMESCALE, _MOST_TIMESCALE = 1000, 1_000_000  # the usual one, and one that is good for an hour in 32 bits

_LAYOUTS: dict[tuple[int, ...], str] = {(3,): "rgb24", (4,): "rgba"}


class _Codec(NamedTuple):
    name: str
    pixels: str
    options: dict[str, str]


# With subpixel motion refined once instead of twice, two thirds of the time for 3 % more bytes. Without B-frames
# packets are in the order of the frames, so that in MP4, which tells durations in the order of decoding, a pause
# stays where it is.
_H264 = _Codec("libx264", "yuv420p", {"preset": "veryfast", "crf": "18", "subq": "1", "bf": "0"})

_VP9_SPEED = {"crf": "28", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}

_VP9 = _Codec("libvpx-vp9", "yuv420p", _VP9_SPEED)

_VP9_ALPHA = _Codec("libvpx-vp9", "yuva420p", _VP9_SPEED | {"auto-alt-ref": "0"})

_PRORES = _Codec("prores_ks", "yuva444p10le", {"profile": "4444", "vendor": "apl0"})

_GIF = _Codec("gif", "pal8", {})

_WEBP = _Codec("libwebp_anim", "bgra", {"quality": "90", "compression_level": "2"})

_APNG = _Codec("apng", "rgba", {"pred": "mixed"})


class _Container(NamedTuple):
    format: str
    opaque: _Codec
    transparent: _Codec | None = None
    options: dict[str, str] = {}  # noqa: RUF012 (of a NamedTuple, never changed)
    only_images: bool = False


CONTAINERS: dict[str, _Container] = {
    ".mp4": _Container("mp4", _H264),
    ".mov": _Container("mov", _H264, _PRORES),
    ".mkv": _Container("matroska", _H264, _VP9_ALPHA),
    ".webm": _Container("webm", _VP9, _VP9_ALPHA),
    ".nut": _Container("nut", _H264),
    ".gif": _Container("gif", _GIF, _GIF, {"loop": "0"}, only_images=True),
    ".webp": _Container("webp", _WEBP, _WEBP, {"loop": "0"}, only_images=True),
    ".png": _Container("apng", _APNG, _APNG, {"plays": "0"}, only_images=True),
}
"""By extension: format, codecs, options of the muxer, and whether it holds nothing but images."""


class Sink:
    """A file to write to as PyAV sees it: a failure is kept, and raised by `check`.

    PyAV would print the traceback of an OSError that a callback raises, beside raising it again.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._error: OSError | None = None
        if file.seekable():
            self.seek, self.tell = file.seek, file.tell

    def write(self, data: bytes) -> int:
        if self._error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self._error = error
        return len(data)

    def check(self) -> None:
        """Raise the OSError of a write that failed."""
        if self._error is not None:
            raise self._error


class FileWriter:
    """The encoder opens with the first frame, whose size it needs.

    name : of the output, for messages
    """

    def __init__(self, file: BinaryIO, name: str, extension: str, reader: Reader, transparent: bool):
        container = CONTAINERS[extension]
        self._format, self._only_images = container.format, container.only_images
        codec = container.transparent if transparent else container.opaque
        assert codec is not None  # `check_target` knows
        self._codec = codec
        self._failing = f"{name}: cannot be written"
        self._reader = reader
        self._sink = Sink(file)
        self._stream: VideoStream | None = None
        self._tracks: Mapping[int, Track | None] = {}  # by index of the source's stream
        self._palette: Palette | None = None
        self._early: list[Packet] = []  # from before the first frame
        self._durations: dict[int, int] = {}  # by time, of frames that are with the encoder
        with as_video_error(self._failing):
            av.Codec(self._codec.name, "w")  # fails now, if it is not there
            options = dict(container.options)
            if self._format in ("mp4", "mov"):
                options["movie_timescale"] = str(_timescale(reader))
            self._container: OutputContainer = av.open(self._sink, "w", self._format, options)

    def __enter__(self) -> "FileWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is not None:
            with suppress(Exception):  # of a file that is given up
                self._container.close()
            return
        with as_video_error(self._failing):
            if self._stream is not None:
                self._container.mux(self._with_durations(self._stream.encode(None)))
            for track in self._tracks.values():
                if track is not None:
                    track.flush()
            self._container.close()
        self._sink.check()

    def frame(self, frame: Frame) -> None:
        with as_video_error(self._failing):
            encoded = self._converted(frame.image)
            if self._stream is None:
                self._open(encoded.width, encoded.height)
            assert self._stream is not None
            encoded.pts, encoded.time_base = frame.time, self._reader.time_base
            encoded.duration = frame.duration
            self._durations[frame.time] = frame.duration
            self._container.mux(self._with_durations(self._stream.encode(encoded)))
        self._sink.check()

    def packet(self, packet: Packet) -> None:
        if self._stream is None:
            self._early.append(packet)
            return
        track = self._tracks.get(packet.stream_index)
        if track is not None:
            with as_video_error(self._failing):
                track.write(packet)
            self._sink.check()

    def _with_durations(self, packets: list[Packet]) -> list[Packet]:
        """Give packets the durations of their frames; encoders set the usual one."""
        for packet in packets:
            unit = packet.time_base / self._reader.time_base
            if duration := self._durations.pop(round((packet.pts or 0) * unit), 0):
                packet.duration = round(duration / unit)
        return packets

    def _converted(self, image: np.ndarray | Yuv) -> "av.VideoFrame":
        """(H, W), (H, W, 3 or 4) uint8, or a frame as video stores it, as the encoder wants it."""
        if isinstance(image, Yuv):
            frame = image.to_frame()
            if not av.VideoFormat(self._codec.pixels).is_rgb:
                return frame.reformat(format=self._codec.pixels)
            image = image.rgb()
        if image.ndim == 2:  # FFmpeg's own way from grey to YUV darkens and tints it
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        if self._codec is _H264:
            below, right = (side % 2 for side in image.shape[:2])
            if below or right:
                image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        layout = _LAYOUTS[image.shape[2:]]
        frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format=layout)
        if self._codec is _GIF:
            self._palette = self._palette or Palette(frame)
            return self._palette(frame)
        if av.VideoFormat(self._codec.pixels).is_rgb:
            return frame.reformat(format=self._codec.pixels)
        television = ColorRange.MPEG
        return frame.reformat(
            format=self._codec.pixels, dst_colorspace=Colorspace.ITU709, dst_color_range=television
        )

    def _open(self, width: int, height: int) -> None:
        reader, container = self._reader, self._container
        self._stream = self._video_stream(width, height)
        if self._only_images:
            note_lost_tracks(reader, self._format)
            self._early = []
            return
        self._tracks = {source.index: open_track(container, source, reader) for source in reader.tracks}
        self._describe()
        early, self._early = self._early, []
        for packet in early:
            self.packet(packet)

    def _video_stream(self, width: int, height: int) -> "VideoStream":
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
        if not self._only_images:
            context.colorspace = context.color_primaries = context.color_trc = Colorspace.ITU709
            context.color_range = ColorRange.MPEG
        return stream

    def _describe(self) -> None:
        """Tags, chapters and attachments of the source, and notes of those that are left out."""
        reader, container = self._reader, self._container
        tags, places = kept_tags(reader.tags)
        if places:
            reader.note(f"{reader.name}: the place of the recording is left out ({', '.join(places)})")
        held = _held_tags(self._format, tags)
        if lost := [name for name in tags if name.lower() not in held]:
            reader.note(f"{reader.name}: tags that {self._format} cannot hold are left out: {', '.join(lost)}")
        container.metadata.update(tags)
        container.set_chapters(reader.chapters)
        if self._format == "matroska":
            for attachment in reader.attachments:
                container.add_attachment(*attachment)
        elif reader.attachments:
            names = ", ".join(name for name, *_ in reader.attachments)
            reader.note(f"{reader.name}: attachments left out, which {self._format} cannot hold: {names}")


def _timescale(reader: Reader) -> int:
    """Units of a second that the length of an MP4 is told in: as fine as the frames' times."""
    return max(_LEAST_TIMESCALE, min(reader.time_base.denominator, _MOST_TIMESCALE))


def _held_tags(format_name: str, tags: dict[str, str]) -> set[str]:
    """Names, in small letters, of the tags that a file of a format still has when it is read again."""
    if not tags:
        return set()
    file = io.BytesIO()
    with av.open(file, "w", format=format_name) as trial:
        stream: Any = trial.add_stream("libvpx-vp9" if format_name == "webm" else "libx264", rate=1)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        trial.metadata.update(tags)
        for packet in (*stream.encode(av.VideoFrame(16, 16, "yuv420p")), *stream.encode(None)):
            trial.mux(packet)
    file.seek(0)
    with av.open(file, metadata_errors="replace") as found:
        return {name.lower() for name in found.metadata}
