import cv2
import numpy as np
import pytest

from jointmat.errors import InputError
from train.data.composition1k import compose_test_set
from train.data.readers import read_items


@pytest.fixture
def data_set(tmp_path):
    """Two foregrounds of 6x4, of which the left half is opaque and the right one translucent; 40 backgrounds."""
    root, photos = tmp_path / "set", tmp_path / "voc"
    folder = root / "Test_set/Adobe-licensed images"
    for name in ("fg", "alpha", "trimaps"):
        (folder / name).mkdir(parents=True)
    photos.mkdir()
    alpha = np.full((4, 6), 51, np.uint8)
    alpha[:, :3] = 255
    for index, name in enumerate(("a.png", "b.png")):
        cv2.imwrite(str(folder / "fg" / name), np.full((4, 6, 3), 100 + 100 * index, np.uint8))
        cv2.imwrite(str(folder / "alpha" / name), alpha)
        for number in range(20):
            cv2.imwrite(str(folder / "trimaps" / f"{name[0]}_{number}.png"), np.full((4, 6), 128, np.uint8))
    for index in range(40):  # half of them too small, half with another lower right part
        photo = np.full((2, 3, 3) if index % 2 else (9, 9, 3), index, np.uint8)
        photo[6:, 6:] = 255
        cv2.imwrite(str(photos / f"{index}.png"), photo)
    (root / "Test_set/test_fg_names.txt").write_text("a.png\nb.png\n")
    (root / "Test_set/test_bg_names.txt").write_text("".join(f"{index}.png\n" for index in range(40)))
    return root, photos


def test_each_foreground_goes_before_its_twenty_backgrounds(data_set, tmp_path):
    assert compose_test_set(*data_set, tmp_path / "out") == 40
    items = {item.name: item for item in read_items("pairs", tmp_path / "out")}
    assert len(items) == 40 and all(item.label and item.trimap for item in items.values())
    for name, foreground, background in (("a_0", 100, 0), ("a_19", 100, 19), ("b_0", 200, 20), ("b_7", 200, 27)):
        image = cv2.imread(str(items[name].image), cv2.IMREAD_GRAYSCALE)
        assert image.shape == (4, 6)
        assert (image[:, :3] == foreground).all()
        assert (image[:, 3:] == round(0.2 * foreground + 0.8 * background)).all()


def test_what_is_missing_is_named(data_set, tmp_path):
    root, photos = data_set
    (photos / "3.png").unlink()
    with pytest.raises(InputError, match=r"3\.png: no such file"):
        compose_test_set(root, photos, tmp_path / "out")
    (root / "Test_set/test_bg_names.txt").write_text("0.png\n")
    with pytest.raises(InputError, match="1 names, expected 40"):
        compose_test_set(root, photos, tmp_path / "out")
