"""Colours of a decoded frame as levels of BT.709: wide gamuts, high dynamic range and transparency."""

from collections.abc import Hashable
from itertools import pairwise
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc

_HDR = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)  # PQ and HLG of ITU-R BT.2100

_WIDE = (ColorPrimaries.BT2020, ColorPrimaries.SMPTE431, ColorPrimaries.SMPTE432)

_UNSPECIFIED = ColorPrimaries.UNSPECIFIED


class Sdr:
    """Maps BT.2020, P3, PQ and HLG to the gamut and range of BT.709.

    FFmpeg's scale filter does it: it takes light through the source's transfer function, maps tones perceptually,
    by the luminance of the mastering display where the file tells it and by the format's nominal peak where not,
    and encodes again. Colours of a wide gamut are kept as far as BT.709 reaches. One graph serves all frames of
    one format.
    """

    def __init__(self) -> None:
        self._graph: Any = None
        self._made_for: Hashable = None

    @staticmethod
    def needed(frame: "av.VideoFrame") -> bool:
        return frame.color_trc in _HDR or frame.color_primaries in _WIDE

    def __call__(self, frame: "av.VideoFrame", layout: str) -> "av.VideoFrame":
        """The frame as `layout` ("rgb24" or "rgba")."""
        kind = (
            frame.width,
            frame.height,
            frame.format.name,
            frame.colorspace,
            frame.color_range,
            frame.color_trc,
            layout,
        )
        if kind != self._made_for:
            self._graph, self._made_for = _graph(frame, layout), kind
        self._graph.push(frame)
        return self._graph.pull()


class Palette:
    """Maps frames of one size (RGB or RGBA) to the colours of GIF, at most 256 for each frame, one transparent.

    Alpha is 0 or 1 there; other levels are rounded.
    """

    def __init__(self, frame: "av.VideoFrame"):
        graph = self._graph = av.filter.Graph()
        source = graph.add("buffer", _arguments(frame))
        fork, sink = graph.add("split"), graph.add("buffersink")
        palette, use = graph.add("palettegen", "stats_mode=single"), graph.add("paletteuse", "new=1")
        source.link_to(fork)
        fork.link_to(use, 0, 0)
        fork.link_to(palette, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._count = 0

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        frame.pts = self._count = self._count + 1  # the two inputs of the last filter are paired by time
        self._graph.push(frame)
        return cast("av.VideoFrame", self._graph.pull())


def over_white(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, 3 or 4) uint8 as (H, W, 3) over white, so that colours hidden under transparent pixels have no
    influence, and alpha (H, W); None for it if all is opaque."""
    if pixels.shape[2] == 3:
        return pixels, None
    image = cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB)
    alpha = cv2.extractChannel(pixels, 3)
    if cv2.minMaxLoc(alpha)[0] == 255:
        return image, None
    weight = alpha.astype(np.float32) / 255
    return cv2.blendLinear(image, np.full_like(image, 255), weight, 1 - weight), alpha


def _graph(frame: "av.VideoFrame", layout: str) -> "av.filter.Graph":
    graph = av.filter.Graph()
    source = graph.add(
        "buffer", f"{_arguments(frame)}:colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
    )
    primaries = ":in_primaries=bt2020" if frame.color_primaries == _UNSPECIFIED else ""
    intent = "perceptual" if frame.color_trc in _HDR else "relative_colorimetric"
    scale = f"out_transfer=bt709:out_primaries=bt709:out_range=full:intent={intent}{primaries}"
    chain = [
        source,
        graph.add("scale", scale),
        graph.add("format", f"pix_fmts={layout}"),
        graph.add("buffersink"),
    ]
    for first, second in pairwise(chain):
        first.link_to(second)
    graph.configure()
    return graph


def _arguments(frame: "av.VideoFrame") -> str:
    return f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000"
