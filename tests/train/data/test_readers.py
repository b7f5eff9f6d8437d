"""Every published layout, in small."""

import cv2
import numpy as np
import pytest

from jointmat.errors import ConfigError, InputError
from jointmat.evaluation.manifest import Kind
from train.config import DataConfig, PartConfig
from train.data.dataset import Mixture
from train.data.decoded import read_grey, read_rgba
from train.data.readers import LAYOUTS, READERS, read_items

FILES = {
    "pairs": ["images/a.jpg", "alphas/a.png"],
    "masks": ["images/a.jpg", "masks/a.png"],
    "cutouts": ["a.rgba.png"],
    "backgrounds": ["deep/er/a.jpg"],
    "composition1k": [
        "Training_set/Adobe-licensed images/fg/a.jpg",
        "Training_set/Adobe-licensed images/alpha/a.jpg",
        "Training_set/Other/fg/b.jpg",
        "Training_set/Other/alpha/b.jpg",
    ],
    "alphamatting": [
        "input_training_lowres/GT01.png",
        "gt_training_lowres/GT01.png",
        "trimap_training_lowres/Trimap1/GT01.png",
        "trimap_training_lowres/Trimap2/GT01.png",
    ],
    "p3m10k": ["train/blurred_image/a.jpg", "train/mask/a.png", "validation/P3M-500-P/mask/b.png"],
    "aisegment": ["clip_img/18/clip_0/18-1.jpg", "matting/18/matting_0/18-1.rgba.png"],
    "ppm100": ["image/a.jpg", "matte/a.jpg"],
    "aim500": ["original/a.jpg", "mask/a.png", "trimap/a.png"],
}


def draw(root, names):
    """Files whose pixels are 40, and whose fourth channel, where the name says so, is 200."""
    for name in names:
        path = root / name.replace(".rgba", "")
        path.parent.mkdir(parents=True, exist_ok=True)
        channels = [40, 40, 40, 200] if ".rgba" in name else [40, 40, 40]
        cv2.imwrite(str(path), np.full((24, 32, len(channels)), channels, np.uint8))


@pytest.mark.parametrize("reader", LAYOUTS)
def test_every_layout_is_found(reader, tmp_path):
    draw(tmp_path, FILES[reader])
    items = read_items(reader, tmp_path)
    layout = LAYOUTS[reader]
    assert len(items) == (2 if reader == "composition1k" else 1)
    for item in items:
        assert item.kind is layout.kind and item.source == reader
        assert (item.label is not None) == bool(layout.labels)
        assert item.label is None or item.label.stem == item.image.stem
    if layout.trimaps and reader != "p3m10k":
        assert items[0].trimap is None or "2" not in items[0].trimap.parent.name
    assert (items[0].trimap is not None) == (reader in {"alphamatting", "aim500"})


def test_splits_are_folders_where_a_data_set_has_them(tmp_path):
    draw(tmp_path, [*FILES["p3m10k"], "validation/P3M-500-P/original_image/b.jpg"])
    (item,) = read_items("p3m10k", tmp_path, ["validation/P3M-500-P"])
    assert item.name == "b"


def test_a_matte_in_the_fourth_channel_is_the_label(tmp_path):
    draw(tmp_path, FILES["aisegment"])
    (item,) = read_items("aisegment", tmp_path)
    assert (read_grey(item) == 200).all()


def test_colours_and_alpha_in_two_files_are_a_cutout(tmp_path):
    draw(tmp_path, FILES["composition1k"])
    rgba = read_rgba(read_items("composition1k", tmp_path)[0])
    assert rgba.shape == (24, 32, 4) and abs(int(rgba[0, 0, 3]) - 40) < 3


def test_another_layout_says_what_was_expected_where(tmp_path):
    draw(tmp_path, FILES["pairs"])
    with pytest.raises(InputError, match="no images in clip_img"):
        read_items("aisegment", tmp_path)
    (tmp_path / "alphas" / "a.png").rename(tmp_path / "alphas" / "z.png")
    with pytest.raises(InputError, match=r"1 of 1 images have no label .* in alphas or alpha, first a"):
        read_items("pairs", tmp_path)
    draw(tmp_path, ["images/more/a.png"])
    with pytest.raises(InputError, match="has the same name as"):
        read_items("pairs", tmp_path)
    with pytest.raises(ConfigError, match="expected one of manifest, pairs"):
        read_items("pears", tmp_path)


def test_excluded_names_are_left_out(tmp_path):
    draw(tmp_path, ["a.jpg", "b.jpg"])
    assert [item.name for item in read_items("backgrounds", tmp_path, exclude=["a"])] == ["b"]
    with pytest.raises(InputError, match="no images left"):
        read_items("backgrounds", tmp_path, exclude=["a", "b"])


def test_parts_of_several_data_sets_make_one_mixture(material, tmp_path):
    draw(tmp_path, FILES["pairs"])
    pairs = PartConfig(reader="pairs", root=str(tmp_path), licence="my own")
    parts = (PartConfig(sources=("masks", "cutouts")), pairs)
    data = Mixture(DataConfig(str(material), parts, shapes=((32, 32),), leave_out=("masks",)), 2, 40)
    assert {(item.source, item.licence) for item in data.items()} == {
        ("cutouts", "see masks"),
        ("pairs", "my own"),
    }
    assert {data[i].image.shape for i in range(20)} == {(3, 32, 32)}  # without any background image
    assert {Kind.CUTOUT, Kind.ALPHA} == {item.kind for item in data.items()}


def test_every_reader_is_named():
    assert set(READERS) == {"manifest", *FILES}
