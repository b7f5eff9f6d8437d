import json
from pathlib import Path

import cv2
import numpy as np

from jointmat.build import load_model
from jointmat.predictor import Predictor
from jointmat.weights import find_weights
from tests.train.conftest import disk
from train import engine
from train.config import load_config


def test_the_shipped_weights_go_on_to_learn_from_a_folder_of_photos_and_alphas(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("images", "alphas"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for name in ("one", "two", "three"):
        noise = cv2.resize(rng.integers(0, 255, (8, 8, 3), np.uint8), (96, 96))
        cv2.imwrite(str(tmp_path / f"data/images/{name}.jpg"), noise)
        cv2.imwrite(str(tmp_path / f"data/alphas/{name}.png"), disk(96, 20))
    settings = [f"data.root={tmp_path / 'data'}", "steps=3", "data.shapes=[[64, 64]]", "data.workers=0"]
    engine.train(load_config(Path("configs/finetune.yaml"), settings), tmp_path / "runs")

    weights = tmp_path / "runs/mine/weights.safetensors"
    before, after = (load_model(path).state_dict() for path in (find_weights("lite", ".safetensors"), weights))
    moved = {name for name in before if not before[name].equal(after[name])}
    assert any(name.startswith("encoder") for name in moved) and any(name.startswith("decoder") for name in moved)
    assert not any("running_" in name for name in moved)  # three photos must not set the statistics
    alpha = Predictor(weights).predict(tmp_path / "data/images/one.jpg")
    assert alpha.shape == (96, 96) and np.isfinite(alpha).all()
    losses = [json.loads(line) for line in (tmp_path / "runs/mine/log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(line["total"]) for line in losses)
