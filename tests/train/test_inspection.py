"""The sheet of samples, and the list of files that cannot be used."""

import dataclasses
import shutil

import cv2
import pytest

from jointmat.cli.errors import SomeFailed
from tests.tiny import CONFIG
from train.config import DataConfig, PartConfig, TrainConfig
from train.inspection import HEIGHT, inspect_data


@pytest.fixture
def config(material):
    parts = tuple(PartConfig(sources=(source,)) for source in ("masks", "cutouts"))
    data = DataConfig(str(material), parts, backgrounds=(PartConfig(sources=("bg",)),), shapes=((64, 64),))
    return TrainConfig("run", CONFIG, data=data, batch_size=2)


def test_samples_are_drawn_one_a_row_with_four_planes(config, tmp_path, capsys):
    path = tmp_path / "new" / "sheet.jpg"
    inspect_data(config, path, 5)
    height, width = cv2.imread(str(path)).shape[:2]
    assert height >= 5 * HEIGHT and width >= 5 * HEIGHT  # image, alpha, trimap, prior, weight
    printed = capsys.readouterr().out
    assert "4 items  masks" in printed and "4 backgrounds" in printed and "all 12 items" in printed


def test_bad_files_are_listed_and_nothing_is_drawn(config, material, tmp_path, capsys):
    root = shutil.copytree(material, tmp_path / "material")
    (root / "mask1.png").write_bytes(b"")
    damaged = dataclasses.replace(config, data=dataclasses.replace(config.data, root=str(root)))
    with pytest.raises(SomeFailed, match=r"1 of 12 items cannot be used: .*data\.bad_items=skip"):
        inspect_data(damaged, tmp_path / "sheet.jpg", 4)
    assert "masks m1: " in capsys.readouterr().out
    assert not (tmp_path / "sheet.jpg").exists()
