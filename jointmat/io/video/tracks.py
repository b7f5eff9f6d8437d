"""Sound and subtitles from one file to another: copied, or encoded again where the format takes them only so.

A muxer promises more codecs than it takes, so each track is tried on a file in memory first.
"""

import io
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

import av
from av.audio.resampler import AudioResampler
from av.packet import Packet

from jointmat.io.video.frames import Reader

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.stream import Stream
    from av.subtitles.stream import SubtitleStream

_SOUND = {"mp4": "aac", "mov": "aac", "webm": "libopus"}  # and AAC elsewhere
_SOUND_RATE = 48000  # of sound that is encoded again, as Opus wants it

_SUBTITLES = {"mp4": "mov_text", "mov": "mov_text", "webm": "webvtt", "matroska": "subrip", "nut": "subrip"}
_TEXT = frozenset({"subrip", "srt", "mov_text", "webvtt", "ass", "ssa", "text"})

# FFmpeg's encoders of text want the styles of the ASS form that its decoders give. Alignment 2 is at the bottom.
_ASS_STYLES = b"""[Script Info]\r
ScriptType: v4.00+\r
\r
[V4+ Styles]\r
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment\r
Style: Default,Arial,16,&Hffffff,2\r
\r
[Events]\r
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r
"""

_DERIVED = ("encoder", "duration", "bps", "number_of_", "_statistics_", "rotate", "alpha_mode", "timecode")
_OF_FILE = ("major_brand", "minor_version", "compatible_brands")
_PLACE = ("location", "gps")


def kept_tags(tags: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Tags that are still true in another file, and the names of those that say where it was recorded."""
    described = {
        name: text
        for name, text in tags.items()
        if not name.lower().startswith(_DERIVED) and name.lower() not in _OF_FILE
    }
    places = [name for name in described if any(word in name.lower() for word in _PLACE)]
    return {name: text for name, text in described.items() if name not in places}, places


class Track(Protocol):
    """Takes the packets of one track, their times counted as the reader does."""

    def write(self, packet: Packet) -> None: ...

    def flush(self) -> None: ...


def open_track(output: "OutputContainer", source: "Stream", reader: Reader) -> Track | None:
    """A track of the output for one of the reader's; None, with a note, for what its format cannot hold."""
    format_name = output.format.name
    if _takes(format_name, source, reader):
        return _Copied(
            output, _described(output, output.add_stream_from_template(source), source, reader), reader
        )
    if source.type == "audio":
        return _Sound(output, cast("AudioStream", source), reader)
    if source.codec_context.name in _TEXT and format_name in _SUBTITLES:
        return _Subtitles(output, cast("SubtitleStream", source), reader)
    reader.note(
        f"{reader.name}: subtitles ({source.codec_context.name}) left out: {format_name} cannot hold them"
    )
    return None


def note_lost_tracks(reader: Reader, format_name: str) -> None:
    """A note of sound and subtitles for a format that holds images alone."""
    if kinds := " and ".join(sorted({_KINDS[track.type] for track in reader.tracks})):
        reader.note(f"{reader.name}: {kinds} left out: {format_name} holds images alone")


class _Copied:
    """The packets as they are."""

    def __init__(self, output: "OutputContainer", stream: Any, reader: Reader):
        self._output, self._stream, self._reader = output, stream, reader
        self._last: Fraction | None = None  # time of the packet written last, seconds
        self._sparse = stream.type == "subtitle"
        self._from_zero = output.format.name in ("matroska", "webm", "nut")

    def write(self, packet: Packet) -> None:
        """Packets that come a sample or more after the one before, as muxers want it."""
        assert packet.dts is not None
        if packet.dts < 0 and self._from_zero:
            # What an encoder of sound puts before the beginning is not heard, and would move all tracks here.
            if packet.dts + (packet.duration or 0) <= 0:
                return
            packet.pts = packet.dts = 0
        time = packet.dts * packet.time_base
        least = Fraction(0) if self._sparse else Fraction(1, self._stream.rate)
        if self._last is not None and time < self._last + least:
            self._reader.note(
                f"{self._reader.name}: the times of a track of {_KINDS[self._stream.type]} jump back; "
                "what came there is left out"
            )
            return
        self._last = time
        packet.stream = self._stream
        self._output.mux(packet)

    def flush(self) -> None:
        """Nothing is held."""


class _Sound:
    """Decoded, and encoded as mono or stereo."""

    def __init__(self, output: "OutputContainer", source: "AudioStream", reader: Reader):
        codec = _SOUND.get(output.format.name, "aac")
        stream = cast("AudioStream", output.add_stream(codec, rate=_SOUND_RATE))
        stream.codec_context.layout = "mono" if source.codec_context.layout.nb_channels == 1 else "stereo"
        self._encoder = stream
        self._resamplers: dict[tuple[str, str, int], AudioResampler] = {}
        self._written = _Copied(output, _described(output, stream, source, reader), reader)

    def write(self, packet: Packet) -> None:
        pieces: list[Any] = []
        with suppress(av.error.FFmpegError):  # a damaged packet is a short silence
            pieces = packet.decode()
        for piece in pieces:
            for alike in self._resampler(piece).resample(piece):
                self._write(self._encoder.encode(alike))

    def flush(self) -> None:
        self._write(self._encoder.encode(None))

    def _write(self, packets: Iterable[Packet]) -> None:
        for packet in packets:
            self._written.write(packet)

    def _resampler(self, piece: "av.AudioFrame") -> AudioResampler:
        """A resampler from the source's current audio format, which may change midway, to the encoder's."""
        kind, context = (piece.format.name, piece.layout.name, piece.sample_rate), self._encoder.codec_context
        if kind not in self._resamplers:
            self._resamplers[kind] = AudioResampler(context.format, context.layout, context.sample_rate)
        return self._resamplers[kind]


class _Subtitles:
    """Text in the codec that the format takes."""

    def __init__(self, output: "OutputContainer", source: "SubtitleStream", reader: Reader):
        self._encoder = cast("SubtitleStream", output.add_stream(_SUBTITLES[output.format.name]))
        self._encoder.codec_context.subtitle_header = _ASS_STYLES
        self._written = _Copied(output, _described(output, self._encoder, source, reader), reader)

    def write(self, packet: Packet) -> None:
        text = None
        with suppress(av.error.FFmpegError):  # a damaged packet is left out, as of sound
            text = packet.stream.codec_context.decode2(packet)
        if not text:  # MP4 fills the time between two texts with empty ones
            return
        encoded = self._encoder.codec_context.encode_subtitle(text)
        encoded.pts = encoded.dts = packet.pts
        encoded.duration, encoded.time_base = packet.duration, packet.time_base
        self._written.write(encoded)

    def flush(self) -> None:
        """Nothing is held."""


# ISO 639-2 has two codes for some languages, of which FFmpeg's MOV knows one.
_OTHER_CODE = {
    "deu": "ger",
    "nld": "dut",
    "ell": "gre",
    "isl": "ice",
    "zho": "chi",
    "fas": "per",
    "sqi": "alb",
    "mkd": "mac",
    "hye": "arm",
    "kat": "geo",
    "bod": "tib",
    "mya": "bur",
    "msa": "may",
    "cym": "wel",
    "eus": "baq",
    "rum": "ron",
    "cze": "ces",
    "slo": "slk",
    "swe": "sve",  # FFmpeg's own
}

_KINDS = {"audio": "sound", "subtitle": "subtitles"}


def _described(output: "OutputContainer", stream: Any, source: "Stream", reader: Reader) -> Any:
    """With the language, title and role that a track of the source has."""
    stream.metadata.update(kept_tags(source.metadata)[0])
    stream.disposition = source.disposition
    language = stream.metadata.get("language", "und")
    if output.format.name == "mov" and language != "und" and not _in_quicktime(language):
        other = _OTHER_CODE.get(language, "")
        if _in_quicktime(other):
            stream.metadata["language"] = other
        else:
            reader.note(f"{reader.name}: the language of a track, {language}, is left out: mov cannot hold it")
    return stream


@cache
def _in_quicktime(language: str) -> bool:
    """Whether a code is one of those that a MOV still has when it is read again."""
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as trial:
        stream = trial.add_stream("pcm_s16le", rate=8000, layout="mono")
        stream.metadata["language"] = language
        packet = Packet(bytes(2))
        packet.pts = packet.dts = 0
        packet.stream, packet.time_base = stream, Fraction(1, 8000)
        trial.mux(packet)
    file.seek(0)
    with av.open(file) as found:
        return found.streams[0].language == language


def _takes(format_name: str, source: "Stream", reader: Reader) -> bool:
    """Whether a format can hold a track of the reader without re-encoding."""
    sample = reader.samples.get(source.index)
    try:
        with av.open(io.BytesIO(), "w", format=format_name) as trial:
            stream = trial.add_stream_from_template(source)
            trial.start_encoding()
            if sample is not None:
                sample.stream = stream
                trial.mux(sample)
    except (av.error.FFmpegError, ValueError):  # ValueError: the codec is not of this format
        return False
    return True
