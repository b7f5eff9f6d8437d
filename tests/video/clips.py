"""Videos to test with, made by PyAV."""

from fractions import Fraction

import av
import numpy as np

TIME_BASE = Fraction(1, 12800)
STEP = 512  # 25 frames a second


def image_at(index, size=(48, 64)):
    """(H, W, 3): dark, with a bright square at the upper left that moves right."""
    image = np.full((*size, 3), 20, np.uint8)
    image[4 : size[0] // 2, 4 + index % 20 : 4 + size[1] // 2 + index % 20] = 235
    return image


def write(
    path,
    times=None,
    size=(48, 64),
    *,
    sound=None,
    layout="mono",
    rotation=0,
    mirrored=(False, False),
    codec="libx264",
    pixels="yuv420p",
    **more,
):
    """A video with `image_at(i)` at every time, in units of `TIME_BASE`; how it was made is the path's name.

    `rotation` is counterclockwise, degrees; `mirrored`, after it, left to right and top to bottom.
    """
    times = range(0, 10 * STEP, STEP) if times is None else times
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"preset": "ultrafast", "crf": "10"} | more)
        stream.height, stream.width, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = TIME_BASE
        if rotation or any(mirrored):
            stream.set_display_rotation(rotation, *mirrored)
        voice = container.add_stream(sound, rate=48000, layout=layout) if sound else None
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(image_at(index, size), format="rgb24")
            frame.pts, frame.time_base, frame.duration = time, TIME_BASE, STEP
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice:
            start, end = (int(time * TIME_BASE * 48000) for time in (times[0], times[-1] + STEP))
            wave = np.sin(np.arange(end - start) / 20).astype(np.float32) / 4
            waves = np.tile(wave, (av.AudioLayout(layout).nb_channels, 1))
            block = av.AudioFrame.from_ndarray(waves, format="fltp", layout=layout)
            block.sample_rate, block.pts, block.time_base = 48000, start, Fraction(1, 48000)
            container.mux(voice.encode(block))
            container.mux(voice.encode(None))
    return path


def read(path, decoder=None):
    """(images RGBA, seconds) of a file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if decoder is None:
            frames = list(container.decode(stream))
        else:
            context = av.CodecContext.create(decoder, "r")
            packets = [p for p in container.demux(stream) if p.dts is not None]
            frames = [frame for packet in [*packets, None] for frame in context.decode(packet)]
        times = [float(frame.pts * stream.time_base) for frame in frames]
        return [frame.to_ndarray(format="rgba") for frame in frames], times


def packets(path, kind):
    """The bytes of every packet of the first stream of a kind, "audio" or "video"."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [bytes(packet) for packet in container.demux(stream) if packet.dts is not None]
