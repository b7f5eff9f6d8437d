"""Train and judge the arms, one run after the other; what is finished is not repeated."""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jointmat.config import to_mapping
from jointmat.errors import ConfigError
from jointmat.io.atomic import atomic_write
from jointmat.matte import Matte
from jointmat.predictor import Predictor
from train.ablation.judge import judge, photos
from train.ablation.plan import Planner
from train.config import PartConfig, TrainConfig
from train.data.items import Item
from train.engine import Trainer

log = logging.getLogger(__name__)

RESULT = "result.json"


def run_arms(planner: Planner, output: Path) -> dict[str, list[dict[str, Any]]]:
    """Results by arm, one a seed: what `output`/ARM-seedN/result.json holds.

    Raises
    ------
    ConfigError
        if `output` holds results of another plan.
    """
    results: dict[str, list[dict[str, Any]]] = {}
    for name, seed in _order(planner):
        log.info("%s, seed %d", name, seed)
        results.setdefault(name, []).append(_result(planner, name, seed, output))
    return results


def weights_of(planner: Planner, name: str, seed: int, output: Path) -> Path:
    """The trained weights that an arm is judged with."""
    owner = planner.plan.arms[name].of or name
    return output / f"{owner}-seed{seed}" / "weights.safetensors"


def predictor_of(planner: Planner, name: str, seed: int, output: Path) -> Predictor:
    return Predictor(weights_of(planner, name, seed, output), max_side=planner.plan.judge.max_side)


def _order(planner: Planner) -> Iterator[tuple[str, int]]:
    """All arms with their first seed, then the further ones; those that need another arm's network last."""
    trained = [name for name, arm in planner.plan.arms.items() if not arm.of and not arm.only_cost]
    depth = max(len(planner.plan.seeds(name)) for name in trained)
    for index in range(depth):
        yield from ((n, planner.plan.seeds(n)[index]) for n in trained if index < len(planner.plan.seeds(n)))
    for name, arm in planner.plan.arms.items():
        if arm.of:
            yield from ((name, seed) for seed in planner.plan.seeds(name))


def _result(planner: Planner, name: str, seed: int, output: Path) -> dict[str, Any]:
    path = output / f"{name}-seed{seed}" / RESULT
    stages = planner.runs(name, seed)
    fingerprint = _fingerprint(stages, planner, name)
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["fingerprint"] != fingerprint:
            raise ConfigError(f"{path}: is the result of another plan; choose another -o, or remove its folder")
        return found
    seconds = 0.0 if planner.plan.arms[name].of else _train(stages, output)
    matte = predictor_of(planner, name, seed, output).matte
    settings = planner.plan.judge
    result = {
        "arm": name,
        "seed": seed,
        "fingerprint": fingerprint,
        "steps": [stage.steps for stage in stages],
        "batch_size": stages[-1].batch_size,
        "shapes": stages[-1].data.shapes,
        "seconds": round(seconds),
        "photos": judge(
            photos(settings, stages[-1].data.folder(PartConfig())),
            lambda item, trimap: _matte(matte, item, trimap),
            settings,
            planner.plan.arms[name].true_trimap,
        ),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write((json.dumps(result, indent=1) + "\n").encode())
    return result


def _train(stages: list[TrainConfig], output: Path) -> float:
    """Run every stage, each from the weights of the one before; seconds that they took together."""
    seconds, start = 0.0, stages[0].initial_weights
    for stage in stages:
        trainer = Trainer(replace(stage, initial_weights=start), output)
        trainer.run()
        seconds += trainer.seconds
        start = str(output / stage.name / "weights.safetensors")
    return seconds


def _matte(matte: Any, item: Item, trimap: np.ndarray | None) -> Matte:
    return matte(item.image, trimap=trimap)


def _fingerprint(stages: list[TrainConfig], planner: Planner, name: str) -> str:
    """Of all that a result depends on, wherever the data lies."""
    settings = [to_mapping(stage) for stage in stages]
    for values in settings:
        del values["data"]["root"], values["threads"]
    judged = to_mapping(planner.plan.judge) | {"given": planner.plan.arms[name].true_trimap}
    text = json.dumps([settings, judged], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
