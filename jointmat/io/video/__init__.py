"""Read and write video with PyAV, frame by frame, so that memory does not grow with length.

What comes in leaves as upright RGB frames with their times. Sound and subtitles pass as packets, undecoded
where the output can hold their codec; else sound is encoded again as mono or stereo, and text in the format's own
codec. Frames keep their times and durations, so that a variable frame rate stays one, and so does a pause at the
start or the end. Only broadcasts (MPEG-TS and the like), whose clocks start anywhere, are moved to zero.

* A rotation or mirroring that the file asks for is applied, and not written again.
* Transparent pixels stay so: `Frame.alpha`.
* HDR (PQ, HLG) and wide gamuts (BT.2020, P3) are mapped to BT.709, 8 bits.
* Damaged packets are skipped and noted; the frames around them keep their times.
* Where times jump back, frames follow each other at once, and sound is left out and noted.
* When the resolution changes on the way, later frames are scaled to the size of the first.
* H.264 needs even sides: an odd one gets its last row or column twice. Other codecs keep the size.
* Tags, chapters, and in Matroska attachments are copied, but not the place of the recording.
* Images come in as a folder, as numbered files or animated, and leave as a folder or animated.
* Playlists (HLS, DASH, concat) are refused: they lead to other files.

Whatever cannot be kept is named in `Reader.notes`.
"""

from jointmat.errors import DependencyError, pip_install

try:
    from av.packet import Packet
except ImportError as missing:
    raise DependencyError(f"video needs PyAV: {pip_install('video')}") from missing

from jointmat.io.video.frames import Frame, Item, Reader, Writer
from jointmat.io.video.reader import VideoReader
from jointmat.io.video.sources import VideoSource, open_reader
from jointmat.io.video.writer import check_format, check_target, open_writer, stores_yuv
from jointmat.io.video.yuv import Yuv

__all__ = [
    "Frame",
    "Item",
    "Packet",
    "Reader",
    "VideoReader",
    "VideoSource",
    "Writer",
    "Yuv",
    "check_format",
    "check_target",
    "open_reader",
    "open_writer",
    "stores_yuv",
]
