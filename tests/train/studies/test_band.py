"""Two models at every width of their trimap."""

import csv
import dataclasses

import cv2
import numpy as np
import pytest

from jointmat.baseline.pipeline import TwoModelPipeline
from jointmat.errors import InputError
from jointmat.evaluation.manifest import read_labelled
from jointmat.predictor import Predictor
from jointmat.weights import save_weights
from tests.tiny import CONFIG, tiny_model
from tests.train.ablation.conftest import PLAN, write
from train.ablation.plan import JudgeConfig
from train.scores import evaluate, from_predictor, means
from train.studies import band as band_study

TWO = dataclasses.replace(CONFIG, architecture="two-model", unet_channels=(16, 8, 8, 8))
JUDGE = JudgeConfig(max_side=64, images=2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Laid out as the ablation leaves them."""
    runs = tmp_path_factory.mktemp("runs")
    for name, config in (("two-model", TWO), ("joint", CONFIG)):
        (runs / f"{name}-seed1").mkdir()
        save_weights(tiny_model(config), runs / f"{name}-seed1" / "weights.safetensors")
    return runs


@pytest.fixture
def found(weights, material, monkeypatch):
    asked = []
    remembering = band_study._remembering

    def counting(segment):
        return remembering(lambda image: asked.append(image) or segment(image))

    monkeypatch.setattr(band_study, "_remembering", counting)
    two, joint = (weights / f"{name}-seed1" / "weights.safetensors" for name in ("two-model", "joint"))
    items = read_labelled(material, "val", most=2)
    return *band_study.study(items, two, joint, JUDGE), items, (two, joint), len(asked)


def test_every_odd_kernel_beside_the_joint_network(found):
    by_kernel, joint, items, weights, asked = found
    assert list(by_kernel) == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25]
    areas = [row["trimap_area"] for row in by_kernel.values()]
    assert areas[0] < 0.05 and areas == sorted(areas) and areas[-1] > 0.5  # kernel 1: ties of resizing alone
    assert asked == len(items)  # the mask is made once a photo, not once a kernel

    def alone(predictor):
        return means([s.values for s in evaluate(items, from_predictor(predictor), band=JUDGE.band)])

    assert by_kernel[5] == pytest.approx(
        alone(TwoModelPipeline(weights[0], kernel=5, detail="fast", max_side=64))
    )
    assert joint == pytest.approx(alone(Predictor(weights[1], detail="fast", max_side=64)))


def test_the_command_writes_the_numbers_and_the_plot(weights, material, tmp_path, capsys):
    plan = write(tmp_path / "plan.yaml", PLAN)
    arguments = ["--data", str(material), "--runs", str(weights), "--plan", str(plan), "--iterations", "2"]
    band_study.command.main([*arguments, "-o", str(tmp_path / "out")], standalone_mode=False)
    with (tmp_path / "out" / "band.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["width of the trimap"], row["pixels"]) for row in rows[:3]] == [
        *(("kernel 1", "0"), ("kernel 3", "2"), ("kernel 5", "4"))
    ]
    assert rows[-1]["width of the trimap"] == "predicted (joint)" and len(rows) == 14
    assert all(np.isfinite(float(row[name])) for row in rows for name in ("sad", "sad_unknown", "trimap_recall"))
    assert cv2.imread(str(tmp_path / "out" / "band.png")).std() > 10
    shown = capsys.readouterr().out
    assert "means over 3 images, long side at 64 px; 2 iterations" in shown and "kernel 25" in shown


def test_what_cannot_be_studied(weights, material, tmp_path):
    plan = write(tmp_path / "plan.yaml", PLAN | {"judge": {"split": "train"}})
    with pytest.raises(InputError, match="no image with a label of kind alpha in split 'train'"):
        band_study.command.main(["--data", str(material), "--plan", str(plan)], standalone_mode=False)
    with pytest.raises(InputError, match="missing --data DIR"):
        band_study.command.main(["--plan", str(plan)], standalone_mode=False)
