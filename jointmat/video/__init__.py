"""Video: the subject of every frame, cut out or in front of another background.

>>> from jointmat.video import matte_video
>>> matte_video("talk.mp4", "new.mp4", background="blur")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jointmat.video.convert import Report, matte_video
    from jointmat.video.frames import FrameMatter

__all__ = ["FrameMatter", "Report", "matte_video"]


def __getattr__(name: str) -> Any:
    """Imported when first used: the command line looks into this package before it knows the command."""
    if name in ("matte_video", "Report"):
        from jointmat.video import convert

        return getattr(convert, name)
    if name == "FrameMatter":
        from jointmat.video.frames import FrameMatter

        return FrameMatter
    raise AttributeError(f"module 'jointmat.video' has no attribute {name!r}")
