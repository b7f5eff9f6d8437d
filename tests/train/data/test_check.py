import csv
import shutil

import cv2
import numpy as np
import pytest
from PIL import EpsImagePlugin, ExifTags, Image

from jointmat.errors import InputError
from jointmat.evaluation.manifest import Item, Kind, read_manifest
from tests.tiny import CONFIG
from train import engine
from train.config import DataConfig, PartConfig, TrainConfig
from train.data.check import check_items
from train.data.dataset import Mixture
from train.data.decoded import read_grey, read_rgb, read_rgba

PARTS = tuple(PartConfig(sources=(source,)) for source in ("masks", "cutouts", "bg"))


@pytest.fixture
def damaged(material, tmp_path):
    """A copy of the material in which five things are wrong."""
    root = tmp_path / "material"
    shutil.copytree(material, root)
    (root / "cutout0.png").write_bytes((root / "cutout0.png").read_bytes()[:400])
    cv2.imwrite(str(root / "cutout1.png"), np.zeros((8, 8, 3), np.uint8))
    cv2.imwrite(str(root / "mask1.png"), np.zeros((96, 96), np.uint8))
    cv2.imwrite(str(root / "mask2.png"), np.zeros((48, 96), np.uint8))
    with (root / "manifest.csv").open("a", newline="") as file:
        csv.writer(file).writerow(["m3", "train", "masks", "CC0", "mask", "alpha3.png", "mask3.png", ""])
    return root


def config(root, **changes):
    data = DataConfig(str(root), PARTS, backgrounds=(PartConfig(sources=("bg",)),), shapes=((64, 64),), **changes)
    return TrainConfig("run", CONFIG, data=data, steps=1, batch_size=2, threads=1, imagenet=False)


def test_everything_that_is_wrong_is_found_and_named(damaged):
    problems = {str(problem) for problem in check_items(read_manifest(damaged, ["train"]))}
    assert len(problems) == 5
    for text in (
        "cutouts c0: cannot be read (",
        "cutouts c1: ",
        "masks m1: its label is empty",
        "masks m2: ",
        "masks m3: ",
    ):
        assert any(problem.startswith(text) for problem in problems), (text, problems)
    assert any("has no alpha channel" in p for p in problems)
    assert any("is 96x48, its image 96x96" in p for p in problems)
    assert any("has the same name as" in p for p in problems)


def test_good_material_has_no_problems(material):
    assert check_items(read_manifest(material, ["train", "val"])) == []


@pytest.mark.parametrize(("orientation", "expected"), [(1, ""), (3, ""), (6, "is 96x48, its image 48x96")])
def test_photos_are_checked_as_they_are_trained_on_turned_as_exif_says(tmp_path, orientation, expected):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", (96, 48), "red").save(tmp_path / "a.jpg", exif=exif)
    Image.new("L", (96, 48), 255).save(tmp_path / "a.png")
    item = Item(Kind.ALPHA, "own", "a", tmp_path / "a.jpg", label=tmp_path / "a.png")
    problems = check_items([item])
    assert bool(problems) == bool(expected) and expected in "".join(map(str, problems))
    assert read_rgb(item).shape[:2] == ((96, 48) if orientation == 6 else (48, 96))


@pytest.mark.parametrize(
    ("values", "colours", "expected"),
    [
        ((0, 1), None, "its label has no value above 1, expected 0 to 255"),
        ((0, 15), (0, 0, 0, 192, 128, 128), "its label is in colour"),  # as VOC writes a person
        ((0, 0), (0, 0, 0, 192, 128, 128), "its label is empty"),
        ((0, 15), (0, 0, 0, 255, 255, 255), ""),
        ((0, 255), None, ""),
    ],
)
def test_masks_as_others_write_them(tmp_path, values, colours, expected):
    mask = Image.new("P" if colours else "L", (64, 64), values[0])
    mask.paste(values[1], (16, 16, 48, 48))
    if colours:
        mask.putpalette([*colours[:3], *[0] * 42, *colours[3:]])
    mask.save(tmp_path / "a.png")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.jpg")
    item = Item(Kind.MASK, "own", "a", tmp_path / "a.jpg", label=tmp_path / "a.png")
    problems = check_items([item])
    assert [problem.reason for problem in problems] == ([expected] if expected else [])
    if not expected:
        assert set(np.unique(read_grey(item))) == {0, 255}


@pytest.mark.parametrize(
    ("mode", "colour", "alpha", "expected", "levels"),
    [
        ("RGBA", "grey", 255, "", {0, 200}),  # as an editor saves a matte: its alpha says nothing
        ("RGBA", "nearly grey", 255, "", {0, 200}),  # as compression leaves it
        ("RGBA", "red", 255, "its label is in colour, and its alpha channel is opaque", None),
        ("RGBA", "red", "matte", "", {0, 200}),
        ("LA", "grey", "matte", "", {0, 200}),
        ("LA", "grey", 255, "", {0, 200}),
    ],
)
def test_labels_with_an_alpha_channel(tmp_path, mode, colour, alpha, expected, levels):
    matte = np.zeros((64, 64), np.uint8)
    matte[16:48, 16:48] = 200
    red = np.dstack([np.full_like(matte, 250), matte, matte])
    nearly = np.dstack([matte, matte, matte + np.uint8(3)])
    images = {"red": red, "nearly grey": nearly, "grey": matte}
    image = Image.fromarray(images[colour]).convert("RGB" if mode == "RGBA" else "L")
    image.putalpha(Image.fromarray(matte if alpha == "matte" else np.full_like(matte, 255)))
    assert image.mode == mode
    image.save(tmp_path / "a.png")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.jpg")
    item = Item(Kind.ALPHA, "own", "a", tmp_path / "a.jpg", label=tmp_path / "a.png")
    assert [problem.reason for problem in check_items([item])] == ([expected] if expected else [])
    if levels:
        assert set(np.unique(read_grey(item))) == levels
        np.testing.assert_array_equal(np.rint(255 * item.alpha()), read_grey(item))


def test_files_of_other_formats(tmp_path):
    Image.new("RGB", (96, 48), "red").save(path := tmp_path / "a.tga")
    assert cv2.imread(str(path)) is None
    (problem,) = check_items([Item(Kind.BACKGROUND, "own", "a", path)])
    assert "a.tga: not an image: expected one of JPEG, PNG" in problem.reason


def test_no_parser_of_other_formats_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(EpsImagePlugin.EpsImageFile, "_open", lambda *args: pytest.fail("a parser was called"))
    (path := tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    (problem,) = check_items([Item(Kind.BACKGROUND, "own", "a", path)])
    assert "EPS" in problem.reason


def test_bad_files_are_left_out_by_their_source_too(tmp_path):
    for folder in ("images", "alphas", "bg"):
        (tmp_path / folder).mkdir()
        for name in ("1", "2"):
            Image.new("L" if folder == "alphas" else "RGB", (64, 64), "white").save(
                tmp_path / folder / f"{name}.png"
            )
    (tmp_path / "images/1.png").write_bytes(b"no image")
    parts = (PartConfig(reader="pairs"),), (PartConfig(reader="backgrounds", root=str(tmp_path / "bg")),)
    data = DataConfig(str(tmp_path), parts[0], backgrounds=parts[1], bad_items="skip")
    mixture = Mixture(engine.without_bad_items(data), 1, 1)
    assert [item.name for item in mixture.items() if item.kind is Kind.ALPHA] == ["2"]
    assert [item.name for item in mixture.backgrounds] == ["1", "2"]


def test_one_bad_file_among_many_is_named(tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    cv2.imwrite(str(good), np.zeros((8, 8, 3), np.uint8))
    bad.write_bytes(good.read_bytes()[:40])
    items = [Item(Kind.BACKGROUND, "own", str(index), bad if index == 777 else good) for index in range(1000)]
    (problem,) = check_items(items)
    assert str(problem).startswith("own 777: cannot be read (")


def test_a_cutout_of_16_bits(tmp_path):
    cutout = np.zeros((32, 32, 4), np.uint16)
    cutout[..., 0], cutout[..., 3], cutout[8:, 8:, 3] = 65535, 32768, 65535
    cv2.imwrite(str(tmp_path / "a.png"), cutout)
    item = Item(Kind.CUTOUT, "own", "a", tmp_path / "a.png")
    assert check_items([item]) == []
    pixels = read_rgba(item)
    assert pixels.dtype == np.uint8 and pixels[0, 0].tolist() == [0, 0, 255, 128] and pixels[9, 9, 3] == 255


def test_training_names_bad_files_before_it_starts(damaged, tmp_path):
    with pytest.raises(InputError, match=r"5 items cannot be used: .*bad_items=skip"):
        engine.train(config(damaged), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_training_can_go_on_without_bad_files(damaged, tmp_path, caplog):
    caplog.set_level("WARNING")
    engine.train(config(damaged, bad_items="skip"), tmp_path / "runs")
    assert "5 items cannot be used and are skipped" in caplog.text
    assert (tmp_path / "runs/run/weights.safetensors").is_file()
