"""Frames and sound to a video file."""

import io
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import av
import cv2
import numpy as np
from av.audio.resampler import AudioResampler
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace

from jointmat.io.video.frames import Frame
from jointmat.io.video.reader import VideoReader, open_input

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_SOUND_RATE = 48000  # of sound that is encoded again, as Opus wants it

_LAYOUTS: dict[tuple[int, ...], str] = {(3,): "rgb24", (4,): "rgba"}


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

CONTAINERS: dict[str, tuple[str, _Codec, str]] = {
    ".mp4": ("mp4", _H264, "aac"),
    ".mov": ("mov", _H264, "aac"),
    ".mkv": ("matroska", _H264, "aac"),
    ".webm": ("webm", _VP9, "libopus"),
}
"""By extension: format, codec of pictures, and codec of sound that cannot be copied."""

TRANSPARENT = {".webm": _VP9_ALPHA, ".mov": _PRORES}


class FileWriter:
    """The encoder opens with the first frame, whose size it needs."""

    def __init__(self, file: BinaryIO, extension: str, reader: VideoReader, transparent: bool, sound: bool):
        format_name, codec, self._sound_codec = CONTAINERS[extension]
        self._codec = TRANSPARENT[extension] if transparent else codec
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
        self._durations: dict[int, int] = {}  # by time, of frames that are with the encoder
        self._end = Fraction(0)  # of the last frame, seconds
        self._lead: Fraction | None = None  # from the first packet's decoding to its showing, seconds

    def __enter__(self) -> "FileWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is not None:
            with suppress(av.error.FFmpegError, OSError):
                self._container.close()
            return
        if self._stream is not None:
            packets = self._with_durations(self._stream.encode(None))
            self._last_until_end(packets)
            self._container.mux(packets)
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
        self._end = frame.time * self._reader.time_base
        self._end += frame.duration * self._reader.time_base or 1 / self._reader.rate
        self._durations[frame.time] = frame.duration
        self._container.mux(self._with_durations(self._stream.encode(picture)))

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

    def _with_durations(self, packets: list[Packet]) -> list[Packet]:
        """Those of their frames: encoders give each the usual one."""
        for packet in packets:
            if self._lead is None:
                self._lead = ((packet.pts or 0) - (packet.dts or 0)) * packet.time_base
            unit = packet.time_base / self._reader.time_base
            if duration := self._durations.pop(round((packet.pts or 0) * unit), 0):
                packet.duration = round(duration / unit)
        return packets

    def _last_until_end(self, packets: list[Packet]) -> None:
        """In MP4 the length of a video is the sum of the times from one packet to the next, in the order of
        decoding, and of the last one's duration, which makes up for what the frames take."""
        if packets and self._lead is not None and self._container.format.name in ("mp4", "mov"):
            last = packets[-1]
            last.duration = max(1, round((self._end - self._lead) / last.time_base) - (last.dts or 0))

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
