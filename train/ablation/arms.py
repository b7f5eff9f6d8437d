"""Train and judge the arms, one run after the other; finished runs are not repeated.

A run's folder OUTPUT/ARM-seedN holds the settings that it was started with, its checkpoint and weights, and, once
judged, its result.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jointmat.baseline.pipeline import TwoModelPipeline
from jointmat.config import differences, to_mapping
from jointmat.errors import ConfigError
from jointmat.evaluation.manifest import Item, read_labelled
from jointmat.evaluation.records import read_record, write_record
from jointmat.predictor import Predictor
from jointmat.weights import read_training
from train.ablation.plan import Changes, Planner, run_name
from train.config import TrainConfig
from train.distributed import World
from train.engine import OF_NO_EFFECT, Trainer, without_bad_items
from train.scores import evaluate, from_predictor

log = logging.getLogger(__name__)

SETTINGS, RESULT = "settings.json", "result.json"

_NOT_COMPARED = (*OF_NO_EFFECT, "initial_weights", "device", "data.root")
"""Settings that do not change what is learned, or that the plan or the machine decides."""


def run_arms(
    planner: Planner, output: Path, chosen: set[str], processes: World
) -> dict[str, list[dict[str, Any]]]:
    """Results of all finished arms in the plan's order, one a seed, after running the chosen ones.

    All processes train; only the first one judges.

    Raises
    ------
    ConfigError
        if a run's folder has other settings than planned: the text lists the differences.
    """
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in planner.plan.arms}
    for name, seed in _order(planner):
        folder = output / run_name(name, seed)
        planned = _settings(planner, name, seed)
        _check(folder, planned)
        result = read_record(folder / RESULT)
        if result.get("judged") != _judging(planner, name):
            result = {}
        if not result and name in chosen:
            log.info("%s, seed %d", name, seed)
            if processes.is_first:
                folder.mkdir(parents=True, exist_ok=True)
                write_record(folder / SETTINGS, planned, indent=None)
            if not planner.plan.arms[name].of:
                _train(planner, name, seed, output, processes)
            result = _judge(planner, name, seed, output) if processes.is_first else {}
        results[name] += [result] if result else []
    return {name: runs for name, runs in results.items() if runs}


def judged_items(planner: Planner) -> list[Item]:
    """The labelled images that the arms are judged on."""
    judge = planner.plan.judge
    return read_labelled(planner.folder(), judge.split, judge.sources, most=judge.images or None)


def weights_of(planner: Planner, name: str, seed: int, output: Path) -> Path:
    """The trained weights that an arm is judged with."""
    return output / run_name(planner.plan.owner(name), seed) / "weights.safetensors"


def predictor_of(planner: Planner, name: str, seed: int, output: Path) -> Predictor:
    """A predictor with an arm's weights."""
    weights, max_side = weights_of(planner, name, seed, output), planner.plan.judge.max_side
    if planner.two_models(name):
        return TwoModelPipeline(weights, kernel=planner.plan.arms[name].kernel, detail="fast", max_side=max_side)
    return Predictor(weights, detail="fast", max_side=max_side)


def _order(planner: Planner) -> Iterator[tuple[str, int]]:
    """All arms with their first seed, then with further ones; those that need another arm's network last."""
    arms = {name: arm for name, arm in planner.plan.arms.items() if not arm.only_cost}
    own = [name for name, arm in arms.items() if not arm.of]
    depth = max((len(planner.plan.seeds(name)) for name in own), default=0)
    for index in range(depth):
        yield from ((n, planner.plan.seeds(n)[index]) for n in own if index < len(planner.plan.seeds(n)))
    yield from ((name, seed) for name, arm in arms.items() if arm.of for seed in planner.plan.seeds(name))


def _train(planner: Planner, name: str, seed: int, output: Path, processes: World) -> None:
    """Run every stage of an arm from the weights of the one before."""
    planned = planner.plan.processes
    if processes.size != planned:
        launch = "python" if planned == 1 else f"torchrun --standalone --nproc-per-node {planned}"
        raise ConfigError(
            f"{name}: the plan needs processes={planned}, got {processes.size}; start it with "
            f"{launch} -m train.ablation"
        )
    stages = planner.runs(name, seed)
    start = stages[0].initial_weights
    for stage in stages:
        config = replace(stage, data=without_bad_items(stage.data), initial_weights=start)
        Trainer(config, output, processes).run()
        processes.wait()  # one of them writes the weights
        start = str(output / stage.name / "weights.safetensors")


def _judge(planner: Planner, name: str, seed: int, output: Path) -> dict[str, Any]:
    """Judge a trained arm, and store the result."""
    scores = evaluate(
        judged_items(planner),
        from_predictor(predictor_of(planner, name, seed, output)),
        give_trimaps=planner.plan.arms[name].true_trimap,
        band=planner.plan.judge.band,
    )
    result = {
        "arm": name,
        "seed": seed,
        **_training(read_training(weights_of(planner, name, seed, output))),
        "judged": _judging(planner, name),
        "images": {
            s.item.name: {"source": s.item.source, **{k: round(v, 6) for k, v in s.values.items()}}
            for s in scores
        },
    }
    write_record(output / run_name(name, seed) / RESULT, result, indent=None)
    return result


def _training(record: Mapping[str, Any]) -> dict[str, Any]:
    """Steps of each stage from the first on, samples and hours of all, shapes of the last stage."""
    return {
        "steps": [stage["steps"] for stage in record["stages"] if "steps" in stage],
        "samples": record["samples"],
        "hours": record["hours"],
        "shapes": record["settings"]["data"]["shapes"],
    }


def _settings(planner: Planner, name: str, seed: int) -> Changes:
    """All that an arm's weights depend on, by stage, except where the data is."""
    stages = {str(n): _relevant(stage) for n, stage in enumerate(planner.runs(name, seed), 1)}
    return stages | {"processes": planner.plan.processes}


def _relevant(config: TrainConfig) -> Changes:
    """The settings that change what is learned, as a JSON file returns them."""
    values = json.loads(json.dumps(to_mapping(config)))
    for key in _NOT_COMPARED:
        *groups, name = key.split(".")
        (values[groups[0]] if groups else values).pop(name, None)
    return values


def _judging(planner: Planner, name: str) -> Changes:
    """All that a judgement depends on, except the weights."""
    judge = json.loads(json.dumps(to_mapping(planner.plan.judge)))
    arm = planner.plan.arms[name]
    settings = {key: value for key, value in judge.items() if not key.startswith("cost_")}
    return settings | {"true_trimap": arm.true_trimap, "kernel": arm.kernel}


def _check(folder: Path, planned: Changes) -> None:
    found = read_record(folder / SETTINGS)
    if found and (changed := differences(found, planned)):
        raise ConfigError(
            f"{folder}: belongs to another plan ({'; '.join(changed[:3])}); remove it, or choose another --output"
        )
