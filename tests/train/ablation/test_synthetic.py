"""Figures drawn by the program."""

from jointmat.config import from_mapping
from jointmat.evaluation.manifest import Kind, read_manifest
from jointmat.io.image import load_image
from train.ablation import synthetic
from train.config import DataConfig
from train.data.dataset import Mixture


def test_figures_to_train_on_and_photos_to_judge_on(tmp_path):
    synthetic.write(tmp_path, train=4, val=2)
    kinds = [item.kind for item in read_manifest(tmp_path, ["train"])]
    assert (kinds.count(Kind.CUTOUT), kinds.count(Kind.BACKGROUND)) == (4, 2)
    photos = read_manifest(tmp_path, ["val"])
    assert [item.kind for item in photos] == [Kind.ALPHA, Kind.ALPHA]
    for item in photos:
        alpha = load_image(item.label)[..., 0] / 255
        assert load_image(item.image).shape[:2] == alpha.shape
        assert 0.2 < alpha.mean() < 0.8 and 0.005 < ((alpha > 0.05) & (alpha < 0.95)).mean() < 0.2


def test_what_is_drawn_is_the_same_each_time(tmp_path):
    for name in ("a", "b"):
        synthetic.write(tmp_path / name, train=2, val=1)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 1 + 1 + 2 + 2
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_the_changes_of_the_data_make_samples_of_it(tmp_path):
    synthetic.write(tmp_path, train=2, val=1)
    config = from_mapping(DataConfig, {"root": str(tmp_path), "shapes": [[64, 64]], **synthetic.CHANGES})
    samples = [Mixture(config, 2, 8)[index] for index in range(8)]
    assert all(sample.image.shape == (3, 64, 64) and sample.image.isfinite().all() for sample in samples)
    assert max(float(sample.alpha.mean()) for sample in samples) > 0.1
