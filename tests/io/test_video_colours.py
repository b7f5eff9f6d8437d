"""Transparency, high dynamic range and wide gamuts."""

import numpy as np
import pytest

av = pytest.importorskip("av")

from jointmat.io.video import VideoReader
from jointmat.io.video.colours import over_white


def clip(path, codec, pixels, frame, trc=2, primaries=2, **options):
    """Three times one frame (H, W, 3 or 4), of uint8 or of uint16 levels of 10-bit grey."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *frame.shape[:2], pixels
        context = stream.codec_context
        context.color_trc, context.color_primaries = trc, primaries
        if primaries == 9:
            context.colorspace = 9
        for index in range(3):
            if frame.ndim == 2:
                image = av.VideoFrame(frame.shape[1], frame.shape[0], "yuv444p10le")
                for plane, levels in zip(
                    image.planes, (frame, np.full_like(frame, 512), np.full_like(frame, 512)), strict=True
                ):
                    rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                    rows[:, : plane.width] = levels
                    plane.update(rows)
                image.colorspace = 9
            else:
                image = av.VideoFrame.from_ndarray(frame, format="rgba" if frame.shape[2] == 4 else "rgb24")
                if primaries == 9:
                    image = image.reformat(format=pixels, dst_colorspace=9)
            image.pts = index
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    return path


def first(path):
    with VideoReader(path) as reader:
        return next(reader.frames()), reader.notes


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("in.webm", "libvpx-vp9", "yuva420p", {"crf": "10", "auto-alt-ref": "0"}),
        ("in.mov", "prores_ks", "yuva444p10le", {"profile": "4444"}),
        ("in.mov", "qtrle", "argb", {}),
        ("in.mkv", "ffv1", "yuva420p", {}),
        ("in.apng", "apng", "rgba", {}),
        ("in.gif", "gif", "bgr8", {}),
    ],
)
def test_transparent_pixels_stay_so(tmp_path, name, codec, pixels, options):
    image = np.full((48, 64, 4), (200, 40, 40, 255), np.uint8)
    image[:, 32:] = 40, 200, 40, 0  # its colour is hidden
    frame, notes = first(clip(tmp_path / name, codec, pixels, image, **options))
    if name == "in.gif":  # this encoder has no transparent colour
        assert frame.alpha is None
        return
    assert notes == []
    assert frame.alpha[:, :30].min() > 240 and frame.alpha[:, 34:].max() < 15
    assert np.abs(frame.image[:, :30].astype(int) - (200, 40, 40)).max() < 25
    assert frame.image[:, 36:].min() > 230  # over white


def test_opaque_frames_have_no_alpha(tmp_path):
    image = np.full((48, 64, 4), 255, np.uint8)
    assert first(clip(tmp_path / "in.mkv", "ffv1", "yuva420p", image))[0].alpha is None


def test_over_white_by_definition():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4)).astype(np.uint8)
    image, alpha = over_white(pixels)
    share = pixels[..., 3:] / 255
    np.testing.assert_allclose(image, pixels[..., :3] * share + 255 * (1 - share), atol=1)
    assert (alpha == pixels[..., 3]).all()
    assert over_white(pixels[..., :3])[1] is None


def grey(level):
    """10-bit luma of a signal in [0, 1] in the range of television."""
    return round(64 + 876 * level)


HLG, PQ, BT2020 = 18, 16, 9


@pytest.mark.parametrize("trc", [HLG, PQ])
def test_hdr_is_tone_mapped(tmp_path, trc):
    """Black stays black, white white, more light is brighter, greys grey; and levels are no longer taken as they
    are, by which the brightest third would all be pale."""
    signals = np.linspace(0, 1, 16)
    luma = np.repeat(np.array([grey(signal) for signal in signals], np.uint16), 8)[None].repeat(32, axis=0)
    frame, notes = first(clip(tmp_path / "in.mkv", "ffv1", "yuv444p10le", luma, trc=trc, primaries=BT2020))
    found = frame.image[16, 4::8].astype(int)
    assert notes == []
    assert found[0].max() <= 2 and found[-1].min() >= 250
    assert np.ptp(found, axis=1).max() <= 3
    assert (np.diff(found[:, 1]) > 0).all()
    assert np.abs(found[1:-1, 1] - 255 * signals[1:-1]).max() > 12
    if trc == HLG:  # its reference white, BT.2408: 75 % of the signal, near 203 cd/m2
        assert 150 <= np.interp(0.75, signals, found[:, 1]) <= 245
    else:  # and that of PQ
        assert 110 <= np.interp(0.58, signals, found[:, 1]) <= 245


def test_a_wide_gamut_is_brought_to_that_of_bt709(tmp_path):
    """The colours of BT.2020 that are inside of BT.709 come out as those: its matrix, ITU-R BT.2087."""
    levels = np.array([120, 150, 90])
    frame, _ = first(
        clip(
            tmp_path / "in.mkv",
            "ffv1",
            "yuv444p10le",
            np.full((16, 16, 3), levels, np.uint8),
            trc=1,
            primaries=BT2020,
        )
    )
    matrix = np.array([[1.6605, -0.5877, -0.0728], [-0.1246, 1.1330, -0.0084], [-0.0182, -0.1006, 1.1187]])
    expected = 255 * np.clip(matrix @ (levels / 255) ** 2.4, 0, 1) ** (1 / 2.4)
    assert np.abs(frame.image[8, 8] - expected).max() < 10
    assert np.abs(frame.image[8, 8] - levels).max() > 15
