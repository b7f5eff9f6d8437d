"""How long the arms will take, from a few steps of each."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from train.ablation.plan import Planner
from train.distributed import World
from train.engine import Trainer


@dataclass(frozen=True)
class Estimate:
    """Of one arm."""

    seeds: int
    steps: int
    """Of all its stages, one seed."""
    minutes: float
    """Of training, all seeds."""


def estimate(
    planner: Planner, output: Path, chosen: Collection[str], processes: World, steps: int = 4
) -> dict[str, Estimate]:
    """Training time of those of the chosen arms that are trained, by the mean of `steps` steps of each stage.

    The machine should do what it will do then; nothing is written.
    """
    found = {}
    for name, arm in planner.plan.arms.items():
        if name not in chosen or arm.of or arm.only_cost or arm.weights:
            continue
        stages = planner.runs(name, arm.seeds[0])
        seconds = 0.0
        for stage in stages:
            seconds += stage.steps * _seconds_a_step(Trainer(replace(stage, steps=steps + 1), output, processes))
        total = sum(stage.steps for stage in stages)
        found[name] = Estimate(len(arm.seeds), total, len(arm.seeds) * seconds / 60)
    return found


def table(estimates: Mapping[str, Estimate]) -> list[list[str]]:
    """Header, one row an arm, and the sum; all text."""
    rows = [["arm", "seeds", "steps", "minutes"]]
    for name, found in estimates.items():
        rows.append([name, str(found.seeds), str(found.steps), f"{found.minutes:.0f}"])
    return [*rows, ["together", "", "", f"{sum(found.minutes for found in estimates.values()):.0f}"]]


def _seconds_a_step(trainer: Trainer) -> float:
    """Without the first one, which is slower."""
    start = None
    for batch in trainer.batches():
        trainer.train_step(batch)
        start = start or time.perf_counter()
    return (time.perf_counter() - (start or 0)) / (trainer.step - 1)
