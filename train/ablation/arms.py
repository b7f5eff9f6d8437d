"""Train and judge the arms, one run after the other; what is finished is not repeated."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jointmat.baseline.pipeline import TwoModelPipeline
from jointmat.config import differences, to_mapping
from jointmat.errors import ConfigError
from jointmat.evaluation.manifest import Item
from jointmat.io.atomic import atomic_write
from jointmat.matte import Matte
from jointmat.predictor import Predictor
from jointmat.weights import find_weights, read_training, sha256
from train import checkpoint
from train.ablation.judge import judge, photos
from train.ablation.plan import Changes, Planner
from train.config import TrainConfig, merged
from train.distributed import World
from train.engine import OF_NO_EFFECT, Trainer, without_bad_items

log = logging.getLogger(__name__)

_NOT_COMPARED = (*OF_NO_EFFECT, "initial_weights", "device", "data.root")
"""Settings that do not change what is learned, or that the plan or the machine decides."""


def run_arms(
    planner: Planner, output: Path, stored: Path, chosen: set[str], processes: World
) -> dict[str, list[dict[str, Any]]]:
    """Results of all finished arms in the plan's order, one a seed, after the chosen ones were run.

    All processes train; what was not finished before, only the first one judges and returns.

    Parameters
    ----------
    output : folder of the runs, which has their weights as ARM-seedN/weights.safetensors
    stored : folder of the results, ARM-seedN.json each

    Raises
    ------
    ConfigError
        if either holds what is of another plan; the text lists the differences.
    """
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in planner.plan.arms}
    for name, seed in _order(planner):
        path = stored / f"{name}-seed{seed}.json"
        finished = _finished(planner, name, seed, output, path)
        if finished is None and name in chosen:
            log.info("%s, seed %d", name, seed)
            _train(planner, name, seed, output, processes)
            finished = _judge(planner, name, seed, output, path) if processes.is_first else None
        results[name] += [finished] if finished else []
    return {name: runs for name, runs in results.items() if runs}


def weights_of(planner: Planner, name: str, seed: int, output: Path) -> Path:
    """The trained weights that an arm is judged with."""
    owner = planner.plan.owner(name)
    given = planner.plan.arms[owner].weights
    return find_weights(given, ".safetensors") if given else _folder(owner, seed, output) / "weights.safetensors"


def predictor_of(planner: Planner, name: str, seed: int, output: Path) -> Predictor:
    """What turns photos into mattes with an arm's weights."""
    weights, max_side = weights_of(planner, name, seed, output), planner.plan.judge.max_side
    if planner.two_models(name):
        return TwoModelPipeline(weights, kernel=planner.plan.arms[name].kernel, max_side=max_side)
    return Predictor(weights, max_side=max_side)


def _order(planner: Planner) -> Iterator[tuple[str, int]]:
    """All arms with their first seed, then the further ones; those that need another arm's network last."""
    arms = {name: arm for name, arm in planner.plan.arms.items() if not arm.only_cost}
    own = [name for name, arm in arms.items() if not arm.of]
    depth = max((len(planner.plan.seeds(name)) for name in own), default=0)
    for index in range(depth):
        yield from ((n, planner.plan.seeds(n)[index]) for n in own if index < len(planner.plan.seeds(n)))
    yield from ((name, seed) for name, arm in arms.items() if arm.of for seed in planner.plan.seeds(name))


def _finished(planner: Planner, name: str, seed: int, output: Path, path: Path) -> dict[str, Any] | None:
    """The stored result, if it is of this plan and judged in the same way."""
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    settings = _settings(planner, name, seed, output)
    _refuse_another_plan(f"{path}:", _with_defaults(found["settings"]), settings)
    return found if found["judged"] == _judging(planner, name) else None


def _judge(planner: Planner, name: str, seed: int, output: Path, path: Path) -> dict[str, Any]:
    """Judge a trained arm, and store the result."""
    arm = planner.plan.arms[name]
    if arm.of and not weights_of(planner, name, seed, output).is_file():
        raise ConfigError(
            f"{name}: takes the weights of {arm.of}, which {output} does not have; remove the stored result of "
            f"{arm.of}, so that it is trained again"
        )
    matte = predictor_of(planner, name, seed, output).matte
    result = {
        "arm": name,
        "seed": seed,
        **_training(read_training(weights_of(planner, name, seed, output))),
        "settings": _settings(planner, name, seed, output),
        "judged": _judging(planner, name),
        "photos": judge(
            photos(planner.plan.judge, planner.folder()),
            lambda item, trimap: _matte(matte, item, trimap),
            planner.plan.judge,
            arm.true_trimap,
        ),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write((json.dumps(result, separators=(",", ":")) + "\n").encode())
    return result


def _train(planner: Planner, name: str, seed: int, output: Path, processes: World) -> None:
    """Train an arm, unless it takes weights that are there already."""
    arm, shared_by = planner.plan.arms[name], planner.plan.processes
    if arm.of or arm.weights:
        return
    if processes.size != shared_by:
        launch = "python" if shared_by == 1 else f"torchrun --standalone --nproc-per-node {shared_by}"
        raise ConfigError(
            f"{name}: the plan is for processes={shared_by}, got {processes.size}; start it with "
            f"{launch} -m train.ablation"
        )
    _run_stages(planner.runs(name, seed), output, processes)


def _run_stages(stages: Sequence[TrainConfig], output: Path, processes: World) -> None:
    """Every stage from the weights of the one before."""
    start = stages[0].initial_weights
    for planned in stages:
        stage = replace(planned, data=without_bad_items(planned.data))
        _check_checkpoint(stage, output / stage.name)
        Trainer(replace(stage, initial_weights=start), output, processes).run()
        processes.wait()  # one of them writes the weights
        start = str(output / stage.name / "weights.safetensors")


def _check_checkpoint(stage: TrainConfig, folder: Path) -> None:
    """ConfigError if `folder` has a checkpoint that was trained with other settings.

    A setting that the checkpoint does not know is another one: training without it may have done anything.
    """
    if (saved := checkpoint.load_newest(folder)) is not None:
        _refuse_another_plan(
            f"{folder}: its checkpoint", _relevant(saved["config"]), _relevant(to_mapping(stage))
        )


def _refuse_another_plan(what: str, found: Changes, planned: Changes) -> None:
    """ConfigError if the settings that were found with `what` are not the planned ones."""
    if changed := differences(found, planned):
        raise ConfigError(
            f"{what} is of another plan ({'; '.join(changed[:3])}); remove it, or choose another folder"
        )


def _training(record: Mapping[str, Any]) -> dict[str, Any]:
    """Steps of each stage from the first on, samples and hours together, shapes of the last stage."""
    stages = [record]
    while earlier := stages[0].get("started_from", {}).get("training"):
        stages.insert(0, earlier)
    return {
        "steps": [stage.get("steps", 0) for stage in stages],
        "samples": sum(stage.get("samples", 0) for stage in stages),
        "hours": round(sum(stage.get("hours", 0.0) for stage in stages), 2),
        "shapes": record.get("settings", {}).get("data", {}).get("shapes", []),
    }


def _matte(matte: Any, item: Item, trimap: np.ndarray | None) -> Matte:
    return matte(item.image, trimap=trimap)


def _settings(planner: Planner, name: str, seed: int, output: Path) -> Changes:
    """All that the weights depend on, by stage, wherever the data lies."""
    if planner.plan.arms[planner.plan.owner(name)].weights:
        return {"weights": sha256(weights_of(planner, name, seed, output))}
    stages = {str(n): _relevant(to_mapping(stage)) for n, stage in enumerate(planner.runs(name, seed), 1)}
    shared_by = planner.plan.processes
    return stages if shared_by == 1 else stages | {"processes": shared_by}


def _with_defaults(settings: Changes) -> Changes:
    """Settings that were named since they were stored had the default."""
    known = _relevant(to_mapping(TrainConfig("")))
    return {key: merged(known, value) if isinstance(value, Mapping) else value for key, value in settings.items()}


def _relevant(config: Changes) -> Changes:
    """A `TrainConfig` in plain data, as it comes back from a JSON file, without what has no effect."""
    values = json.loads(json.dumps(config))
    for key in _NOT_COMPARED:
        *groups, name = key.split(".")
        (values[groups[0]] if groups else values).pop(name, None)
    return values


def _judging(planner: Planner, name: str) -> Changes:
    """All that a judgement depends on but the weights; what its cost is measured at is none of it."""
    values = json.loads(json.dumps(to_mapping(planner.plan.judge)))
    settings = {key: value for key, value in values.items() if not key.startswith("cost_")}
    arm = planner.plan.arms[name]
    kernel = {} if arm.kernel is None else {"kernel": arm.kernel}
    return settings | {"true_trimap": arm.true_trimap} | kernel


def _folder(name: str, seed: int, output: Path) -> Path:
    return output / f"{name}-seed{seed}"
