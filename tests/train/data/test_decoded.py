import multiprocessing
import os

import cv2
import numpy as np
import pytest

from jointmat.evaluation.manifest import Item, Kind
from train.data import decoded
from train.data.decoded import Decoded, premultiplied, pyramid, read_cutout


def image_file(path, size=(200, 130), seed=0):
    rng = np.random.default_rng(seed)
    cv2.imwrite(str(path), rng.integers(0, 255, (*size, 3), np.uint8))
    return path


@pytest.fixture
def item(tmp_path):
    cv2.imwrite(str(tmp_path / "alpha.png"), np.tile(np.arange(130, dtype=np.uint8), (200, 1)))
    image = image_file(tmp_path / "image.png")
    return Item(Kind.ALPHA, "own", "a", image, label=tmp_path / "alpha.png")


def same(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def count_reads(monkeypatch):
    reads = []
    read = decoded._read
    monkeypatch.setattr(decoded, "_read", lambda path, flag: reads.append(path) or read(path, flag))
    return reads


# --- Pyramids


@pytest.mark.parametrize("size", [(200, 130), (97, 4000, 3), (40, 30, 4), (1, 500)])
def test_a_pyramid_halves_down_to_a_small_image(size):
    levels = pyramid(np.zeros(size, np.uint8))
    assert levels[0].shape == size
    for larger, smaller in zip(levels, levels[1:], strict=False):
        assert smaller.shape[:2] == (larger.shape[0] // 2, larger.shape[1] // 2)
    assert max(levels[-1].shape[:2]) < 96 or min(levels[-1].shape[:2]) < 2


def test_a_level_is_the_average_of_four_pixels():
    image = np.random.default_rng(0).integers(0, 255, (128, 96), np.uint8)
    mean = image.reshape(64, 2, 48, 2).mean(axis=(1, 3))
    assert np.abs(pyramid(image)[1] - mean).max() <= 0.5


def test_colours_are_premultiplied():
    rgba = np.array([[[200, 100, 50, 255], [200, 100, 50, 51], [200, 100, 50, 0]]], np.uint8)
    before = rgba.copy()
    assert premultiplied(rgba).tolist() == [[[200, 100, 50, 255], [40, 20, 10, 51], [0, 0, 0, 0]]]
    assert np.array_equal(rgba, before)


# --- What is kept


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files as Linux lists them")
def test_no_files_stay_open(item, tmp_path):
    kept = Decoded(tmp_path / "cache")
    kept.image(item)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        kept.image(item), kept.label(item), kept.cutout(item)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_kept_pyramids_are_those_of_the_files(item, tmp_path):
    plain, kept = Decoded(), Decoded(tmp_path / "cache")
    for _ in range(2):
        for what in ("image", "label", "cutout"):
            assert same(getattr(kept, what)(item), getattr(plain, what)(item))
    assert np.array_equal(plain.cutout(item)[0], premultiplied(read_cutout(item)))


def test_a_file_is_decoded_once(item, tmp_path, monkeypatch):
    reads = count_reads(monkeypatch)
    for _ in range(2):
        kept = Decoded(tmp_path / "cache")  # another process
        for _ in range(2):
            kept.image(item)
    assert reads == [item.image]


def test_without_a_folder_nothing_is_kept(item, tmp_path, monkeypatch):
    before = set(tmp_path.rglob("*"))
    reads = count_reads(monkeypatch)
    plain = Decoded()
    plain.image(item)
    plain.image(item)
    assert len(reads) == 2 and set(tmp_path.rglob("*")) == before


def test_a_change_of_the_file_is_noticed(item, tmp_path):
    old = [np.array(level) for level in Decoded(tmp_path / "cache").image(item)]
    image_file(item.image, seed=1)
    status = item.image.stat()
    os.utime(item.image, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    new = Decoded(tmp_path / "cache").image(item)
    assert not same(old, new) and same(new, Decoded().image(item))


def test_images_of_one_name_in_two_folders_are_kept_apart(item, tmp_path):
    (tmp_path / "other").mkdir()
    other = Item(Kind.BACKGROUND, "own", "a", image_file(tmp_path / "other" / "image.png", seed=2))
    kept = Decoded(tmp_path / "cache")
    assert not same(kept.image(item), kept.image(other))


def test_what_another_one_left_half_written_is_made_again(item, tmp_path):
    """The first level is written last: without it there is nothing."""
    folder = tmp_path / "cache"
    Decoded(folder).image(item)
    (first,) = folder.glob("*.0.npy")
    first.unlink()
    assert same(Decoded(folder).image(item), Decoded().image(item))


def _write(folder, item):
    return [np.array(level) for level in Decoded(folder).image(item)]


def test_several_processes_may_write_at_the_same_time(item, tmp_path):
    expected = Decoded().image(item)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        results = pool.starmap(_write, [(tmp_path / "cache", item)] * 9)
    assert all(same(levels, expected) for levels in results)
    assert len(list((tmp_path / "cache").iterdir())) == len(expected)  # and nothing that is left over
