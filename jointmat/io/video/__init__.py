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

from jointmat.errors import DependencyError, pip_install

try:
    from av.packet import Packet
except ImportError as missing:
    raise DependencyError(f"video needs PyAV: {pip_install('video')}") from missing

from jointmat.io.video.frames import Frame, Item, Writer
from jointmat.io.video.reader import VideoReader
from jointmat.io.video.writer import check_target, open_writer

__all__ = ["Frame", "Item", "Packet", "VideoReader", "Writer", "check_target", "open_writer"]
