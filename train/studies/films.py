"""Films with a known alpha in every frame: a cut-out that moves in front of a background, as a camera sees it.

Somebody sways, turns and comes closer with periods of a few seconds; the camera, held by hand, drifts and shakes
by a few pixels, and has the noise of a lit room.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from jointmat.compositing import placed
from train.data.compose import Layer, composite

RATE = 30
SIZE = 720, 1280

SHARES = {"close-up": 1.4, "half-length": 0.8, "far away": 0.125}
"""height of the cut-out to that of the frame; what is more than a frame runs out of its lower edge"""

_HEADROOM = 0.08
_BELOW = 0.03  # of the cut-out's height, to hide where it ends
_NOISE = 1.5 / 255  # standard deviation
_SWAY = 0.04  # of the cut-out's height, to either side
_SHAKE = 0.0006  # of the frame's width, from one frame to the next
_PERIODS = np.array([97, 61, 143, 83])  # frames


class Shot(NamedTuple):
    """One frame of a film with its alpha."""

    image: np.ndarray  # H, W, 3 uint8
    alpha: np.ndarray  # H, W float32


def film(
    layer: Layer, background: np.ndarray, share: float, frames: int, size: tuple[int, int] = SIZE, seed: int = 0
) -> Iterator[Shot]:
    """Shots of a cut-out, `share` of the frame high, in front of a background (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    height, width = size
    left, top, across, down = cv2.boundingRect((layer.alpha > 0.5).astype(np.uint8))
    scale = share * height / down
    layer = Layer(*(_scaled(plane, scale) for plane in layer))
    feet = scale * (left + across / 2), scale * (top + down)
    place = np.array([width / 2, max(_HEADROOM * height, (1 + _BELOW * share - share) * height) + share * height])
    behind = placed(background, size).astype(np.float32) / 255
    phases = rng.uniform(0, 2 * np.pi, 4)
    shake = np.zeros(2)
    for index in range(frames):
        sway, turn, near, lift = np.sin(2 * np.pi * index / _PERIODS + phases)
        shake = 0.95 * shake + rng.normal(0, _SHAKE * width, 2)
        move = cv2.getRotationMatrix2D(feet, 2 * turn, 1 + 0.03 * near)
        lean = share * height * np.array([_SWAY * sway, 0.01 * lift])
        move[:, 2] = move[:, 2] + place - feet + shake + lean
        drift = np.array([[1, 0, shake[0]], [0, 1, shake[1]]])
        moved = Layer(
            cv2.warpAffine(layer.colour, move, size[::-1], borderMode=cv2.BORDER_REPLICATE),
            cv2.warpAffine(layer.alpha, move, size[::-1]),
        )
        still = cv2.warpAffine(behind, drift, size[::-1], borderMode=cv2.BORDER_REFLECT)
        light = composite(moved, still) + _NOISE * rng.standard_normal((*size, 3), np.float32)
        yield Shot(np.rint(255 * np.clip(light, 0, 1)).astype(np.uint8), moved.alpha)


def record(shots: Iterable[Shot], path: Path) -> None:
    """Write the images of a film as H.264, as a phone or camera would: 30 frames a second, BT.709."""
    import av
    from av.video.reformatter import ColorRange, Colorspace

    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "21"})
        for shot in shots:
            if not stream.width or stream.width != shot.image.shape[1]:
                stream.height, stream.width = shot.image.shape[:2]
                stream.pix_fmt = "yuv420p"
                context = stream.codec_context
                context.colorspace = context.color_primaries = context.color_trc = Colorspace.ITU709
                context.color_range = ColorRange.MPEG
            frame = av.VideoFrame.from_ndarray(shot.image, format="rgb24")
            container.mux(
                stream.encode(
                    frame.reformat(
                        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
                    )
                )
            )
        container.mux(stream.encode(None))


def _scaled(plane: np.ndarray, scale: float) -> np.ndarray:
    """By a factor, averaged where that is below 1."""
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.clip(cv2.resize(plane, None, fx=scale, fy=scale, interpolation=interpolation), 0, 1)
