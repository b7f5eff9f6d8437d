"""Images as frames of a video, in and out."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")

from jointmat.errors import ImageError, InputError, VideoError
from jointmat.io.video import open_reader, open_writer
from jointmat.io.video.images import ImagesReader, WebPReader, parse_rate
from jointmat.io.write import save_image
from tests.video.clips import STEP, image_at, write


def cut(index):
    """(48, 64, 4): a disk that moves right, on transparent ground."""
    rows, columns = np.mgrid[:48, :64]
    pixels = np.zeros((48, 64, 4), np.uint8)
    pixels[np.hypot(rows - 24, columns - 20 - 4 * index) < 16] = 220, 40, 40, 255
    return pixels


def copy(source, target, change=lambda frame: frame.image, transparent=False, **options):
    with open_reader(source, **options) as reader, open_writer(target, reader, transparent=transparent) as writer:
        for frame in reader.frames():
            writer.frame(frame._replace(image=change(frame)))
    return reader.notes


def rgba(frame):
    alpha = np.full(frame.image.shape[:2], 255, np.uint8) if frame.alpha is None else frame.alpha
    return np.dstack([frame.image, alpha])


def frames(source, **options):
    """(images, alphas, times in seconds, durations in seconds)."""
    with open_reader(source, **options) as reader:
        found = list(reader.frames())
        unit = float(reader.time_base)
    images, times, durations, alphas = zip(*found, strict=True)
    return images, alphas, [unit * time for time in times], [unit * duration for duration in durations]


def numbered_images(folder, numbers, name="{:04}.png"):
    folder.mkdir(exist_ok=True)
    for index, number in enumerate(numbers):
        save_image(folder / name.format(number), image_at(index))
    return folder


@pytest.mark.parametrize("source", ["frames", "frames/%04d.png"])
def test_images_are_frames_at_the_rate_that_is_given(tmp_path, source):
    numbered_images(tmp_path / "frames", range(1, 6))
    (tmp_path / "frames" / "notes.txt").write_text("words")
    images, alphas, times, durations = frames(str(tmp_path / source), rate=Fraction(10))
    assert alphas == (None,) * 5 and all((image == image_at(i)).all() for i, image in enumerate(images))
    assert times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4]) and durations == pytest.approx([0.1] * 5)
    with open_reader(str(tmp_path / source)) as reader:
        assert (reader.rate, reader.count) == (25, 5)


@pytest.mark.parametrize("target", ["out.mp4", "out.webm"])
def test_a_folder_of_images_becomes_a_video(tmp_path, target):
    numbered_images(tmp_path / "frames", range(8))
    assert copy(tmp_path / "frames", tmp_path / target, rate=Fraction(30000, 1001)) == []
    with av.open(str(tmp_path / target)) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert times == pytest.approx([i * 1001 / 30000 for i in range(8)], abs=6e-4)


def test_the_order_is_that_of_the_numbers(tmp_path):
    numbered_images(tmp_path / "frames", [1, 2, 10, 100], "shot{}.png")
    for source in ("frames", "frames/shot%d.png"):
        images = frames(str(tmp_path / source))[0]
        assert all((image == image_at(i)).all() for i, image in enumerate(images))


def test_a_written_folder_is_read_with_its_times(tmp_path):
    """A video, its frames as files, and a video of these."""
    places = [0, 1, 5, 6, 30]
    source = write(tmp_path / "in.mp4", [place * STEP for place in places])
    copy(source, tmp_path / "frames")
    copy(tmp_path / "frames", tmp_path / "out.mp4")
    assert frames(tmp_path / "out.mp4")[2] == pytest.approx([place / 25 for place in places], abs=2e-6)
    assert frames(tmp_path / "frames", rate=Fraction(25))[2] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])


@pytest.mark.parametrize(
    "table",
    ["", "file,seconds\na,1\n", "file,seconds,duration\n0001.png,x,1\n", "file,seconds,duration\n0001.png,0,1\n"],
)
def test_a_table_of_times_that_is_wrong_is_refused(tmp_path, table):
    folder = numbered_images(tmp_path / "frames", [1, 2])
    (folder / "frames.csv").write_text(table)
    with pytest.raises(VideoError, match=r"frames: its frames.csv .* --rate"):
        frames(folder)
    assert len(frames(folder, rate=Fraction(25))[0]) == 2


def test_a_damaged_image_is_left_out_and_noted(tmp_path):
    folder = numbered_images(tmp_path / "frames", range(1, 5))
    (folder / "0002.png").write_bytes((folder / "0002.png").read_bytes()[:60])
    reader = ImagesReader("frames", sorted(folder.iterdir()), Fraction(10))
    assert [frame.time for frame in reader.frames()] == [0, 2, 3]
    (note,) = reader.notes
    assert "0002.png" in note and "left out" in note


def test_images_of_another_size_are_scaled_to_the_first(tmp_path):
    folder = numbered_images(tmp_path / "frames", [1, 2])
    save_image(folder / "0003.png", image_at(2, (96, 128)))
    reader = ImagesReader("frames", sorted(folder.iterdir()))
    assert {frame.image.shape for frame in reader.frames()} == {(48, 64, 3)}
    assert "differ in size" in reader.notes[0]


def test_transparent_images_keep_their_alpha(tmp_path):
    (tmp_path / "frames").mkdir()
    for index in range(3):
        Image.fromarray(cut(index)).save(tmp_path / "frames" / f"{index}.png")
    images, alphas, *_ = frames(tmp_path / "frames")
    for index, (image, alpha) in enumerate(zip(images, alphas, strict=True)):
        assert (alpha == cut(index)[..., 3]).all() and (image[alpha == 0] == 255).all()


@pytest.mark.parametrize("target", ["out.webp", "out.gif", "out.png", "out.mkv", "out.webm", "out.mov"])
def test_transparency_goes_out_and_comes_in_again(tmp_path, target):
    (tmp_path / "frames").mkdir()
    for index in range(4):
        Image.fromarray(cut(index)).save(tmp_path / "frames" / f"{index}.png")
    assert copy(tmp_path / "frames", tmp_path / target, rgba, True, rate=Fraction(10)) == []
    images, alphas, times, _ = frames(tmp_path / target)
    assert times == pytest.approx([0, 0.1, 0.2, 0.3], abs=1e-3)
    for index, (image, alpha) in enumerate(zip(images, alphas, strict=True)):
        expected = cut(index)
        inside = expected[..., 3] > 0
        assert np.abs(alpha.astype(int) - expected[..., 3]).mean() < 6
        assert np.abs(image[inside].astype(int) - expected[inside][:, :3]).mean() < 14


@pytest.mark.parametrize("name", ["out.webp", "out.gif", "out.png"])
def test_animated_images_keep_a_variable_rate_and_loop(tmp_path, name):
    source = write(tmp_path / "in.mp4", [place * STEP for place in (0, 1, 2, 12, 13)], sound="aac")
    (note,) = copy(source, tmp_path / name)
    assert "sound left out" in note
    with Image.open(tmp_path / name) as image:
        assert image.n_frames == 5 and image.info["loop"] == 0
        shown = []
        for index in range(5):
            image.seek(index)
            image.load()
            shown.append(round(image.info["duration"]))
    assert shown[:4] == [40, 40, 400, 40]


def test_an_animated_webp_is_read_with_its_times(tmp_path):
    first, *others = (Image.fromarray(cut(index)) for index in range(4))
    first.save(
        tmp_path / "in.webp", save_all=True, append_images=others, duration=[40, 80, 500, 20], lossless=True
    )
    images, alphas, times, durations = frames(tmp_path / "in.webp")
    assert times == pytest.approx([0, 0.04, 0.12, 0.62]) and durations == pytest.approx([0.04, 0.08, 0.5, 0.02])
    assert all((alpha == cut(index)[..., 3]).all() for index, alpha in enumerate(alphas))
    assert images[0].shape == (48, 64, 3)


def test_a_damaged_webp_is_one_line(tmp_path):
    (tmp_path / "in.webp").write_bytes(b"RIFF\x10\0\0\0WEBPVP8 \0\0\0\0")
    with pytest.raises(ImageError, match=r"in\.webp"):
        WebPReader(tmp_path / "in.webp")


def test_what_holds_no_frames_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "in.mp4", [0])
    for source, cause in (("empty", "holds neither"), ("none/%04d.png", "no such files; expected 0001.png")):
        with pytest.raises(VideoError, match=cause):
            open_reader(str(tmp_path / source))
    with pytest.raises(InputError, match="rate is for images"):
        open_reader(tmp_path / "in.mp4", rate=Fraction(25))


def test_rates():
    assert [parse_rate(text) for text in ("25", "29.97", "30000/1001")] == [
        25,
        Fraction(2997, 100),
        Fraction(30000, 1001),
    ]
    for text in ("", "x", "0", "-1", "1/0", "1e9"):
        with pytest.raises(InputError, match="expected frames per second"):
            parse_rate(text)
