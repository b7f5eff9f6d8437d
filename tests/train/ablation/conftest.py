"""A comparison of tiny networks on drawn figures."""

from pathlib import Path

import pytest
import yaml

from jointmat.config import to_mapping
from tests.tiny import CONFIG

MODEL = {key: list(v) if isinstance(v, tuple) else v for key, v in to_mapping(CONFIG).items()}
ARMS = {
    "joint": {"title": "joint", "seeds": [1, 2]},
    "two-model": {
        "title": "two models",
        "change": {
            "model": {"architecture": "two-model", "unet_channels": [16, 8, 8, 8]},
            "data": {"user_trimaps": 1.0},
        },
    },
    "frozen": {"title": "frozen", "stages": [{"frozen": ["decoder"]}, {"frozen": ["encoder", "segmentation"]}]},
    "narrow": {"title": "two models, narrow", "of": "two-model", "kernel": 3},
    "true-trimap": {"title": "given the true trimap", "of": "joint", "true_trimap": True},
    "wide": {"title": "wide", "only_cost": True, "change": {"model": {"decoder_channels": [32, 16, 16]}}},
}
PLAN = {
    "base": "tiny.yaml",
    "change": {"data": {"workers": 0}},
    "judge": {"max_side": 64, "images": 3, "cost_size": 64, "cost_rounds": 2},
    "arms": ARMS,
    "quick": {"change": {"steps": 2}, "judge": {"images": 2}},
}


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan file, with the configuration that it is based on beside it."""
    base = {"model": MODEL, "batch_size": 2, "steps": 3, "imagenet": False, "threads": 1, "ema_decay": 0.5}
    base["data"] = {"shapes": [[64, 64]], "mixture": [{"weight": 1.0}]}
    write(tmp_path / "tiny.yaml", base)
    return write(tmp_path / "plan.yaml", PLAN)


def write(path: Path, values: dict) -> Path:
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path
