"""The arms of configs/ablation.yaml: each is a base configuration with its own changes."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from jointmat.config import ModelConfig, configuration, from_mapping, to_mapping
from jointmat.errors import ConfigError
from train.config import DataConfig, PartConfig, TrainConfig, load_config, merged, read_yaml

Changes = dict[str, Any]
"""Keys and values over those of a `TrainConfig`, nested in the same way."""


@configuration
class ArmConfig:
    """One row of the table."""

    title: str
    change: Changes = field(default_factory=dict)
    """Changes to the base."""
    stages: tuple[Changes, ...] = ({},)
    """Consecutive runs, each from the weights of the one before, with further changes."""
    seeds: tuple[int, ...] = (1,)
    of: str = ""
    """Not trained: the network of this other arm."""
    true_trimap: bool = False
    """Judged with the trimap of the true alpha given."""
    kernel: int | None = None
    """Kernel of the trimap between two models when the arm is judged, pixels, odd; None for the model's own."""
    only_cost: bool = False
    """Neither trained nor judged: only its cost is measured."""


@configuration
class JudgeConfig:
    """How the arms are judged."""

    split: str = "val"
    sources: tuple[str, ...] = ()
    """Empty for all."""
    images: int = 0
    """At most so many of each source; 0 for all."""
    max_side: int = 512
    """Long side that the networks see, pixels."""
    band: int = 10
    """Where the data has no trimap, pixels around the soft ones of the true alpha that count as unknown."""
    cost_size: int = 512
    """Height and width at which latency and memory are measured, pixels."""
    cost_rounds: int = 10


@configuration
class Plan:
    """The whole comparison."""

    base: str
    """Training configuration that all arms share, a file beside the plan."""
    arms: dict[str, ArmConfig]
    reference: str = "joint"
    """The arm that latencies and errors are compared with."""
    change: Changes = field(default_factory=dict)
    """For all arms, over the base."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    processes: int = 1
    """Processes that share each run; each takes `batch_size` samples of a step."""
    quick: Changes = field(default_factory=dict)
    """Changes to this plan for a run of minutes: see `read_plan`."""

    def __post_init__(self) -> None:
        for name, arm in self.arms.items():
            if arm.of and (arm.of not in self.arms or self.arms[arm.of].of or self.arms[arm.of].only_cost):
                raise ConfigError(f"arms.{name}.of={arm.of}: expected an arm with weights of its own")
        if self.reference not in self.arms:
            raise ConfigError(f"reference={self.reference}: expected one of {', '.join(self.arms)}")

    def owner(self, name: str) -> str:
        """The arm whose network this one is judged with, usually its own."""
        return self.arms[name].of or name

    def seeds(self, name: str) -> tuple[int, ...]:
        """The seeds that an arm is judged at."""
        return self.arms[self.owner(name)].seeds

    def chosen(self, names: Sequence[str]) -> set[str]:
        """The named arms and those whose networks they use; all if none is named.

        Raises
        ------
        ConfigError
            for an unknown name.
        """
        if unknown := [name for name in names if name not in self.arms]:
            raise ConfigError(f"no arm {', '.join(unknown)}: expected {', '.join(self.arms)}")
        return {*names, *map(self.owner, names)} or set(self.arms)


class Planner:
    """Configurations of every run of a plan.

    Parameters
    ----------
    data : changes for all runs that say where the data is

    Raises
    ------
    ConfigError
        if an arm has a kernel, but no trimap that is made with it.
    """

    def __init__(self, plan: Plan, folder: Path, data: Changes):
        base = to_mapping(load_config(folder / plan.base))
        self._base = merged(merged(base, plan.change), {"data": data})
        self.plan = plan
        self.models = {name: self.runs(name, seed=1)[-1].model for name, arm in plan.arms.items() if not arm.of}
        """Networks of the arms that have their own."""
        for name, arm in plan.arms.items():
            if arm.kernel is not None and not self.two_models(name):
                raise ConfigError(f"arms.{name}.kernel={arm.kernel}: needs two models with a hard trimap")

    def two_models(self, name: str) -> bool:
        """Whether an arm is judged as two networks with a hard trimap between them."""
        return self.model(name).architecture in ("two-model", "classic")

    def model(self, name: str) -> ModelConfig:
        """The network that an arm is judged with."""
        return self.models[self.plan.owner(name)]

    def folder(self) -> Path:
        """Folder of the data that the arms are judged on."""
        return from_mapping(DataConfig, self._base["data"], "data.").folder(PartConfig())

    def runs(self, name: str, seed: int) -> list[TrainConfig]:
        """The stages of one arm with one seed: ARM-seedN/stage1 and so on, the last one named ARM-seedN."""
        arm = self.plan.arms[self.plan.owner(name)]
        stages = []
        for number, stage in enumerate(arm.stages, 1):
            own = merged(merged(self._base, arm.change), stage)
            run = run_name(name, seed) if number == len(arm.stages) else f"{run_name(name, seed)}/stage{number}"
            named = {"name": run, "seed": seed, "data": {"seed": seed}}
            stages.append(from_mapping(TrainConfig, merged(own, named), f"{name}."))
        return stages


def run_name(arm: str, seed: int) -> str:
    """Folder of a run."""
    return f"{arm}-seed{seed}"


def read_plan(path: Path, quick: bool = False) -> Plan:
    """The plan in a YAML file; with `quick`, its changes for a run of minutes.

    Raises
    ------
    ConfigError
        for a file that cannot be read, an unknown key (the nearest known one is named) or a wrong type.
    """
    values = read_yaml(path)
    if not isinstance(values.get("arms"), Mapping):
        raise ConfigError(f"{path}: expected base and arms, as in configs/ablation.yaml")
    if quick:
        short = dict(values.get("quick") or {})
        seeds = short.pop("seeds", None)
        values = merged(values, short)
        if seeds:
            values["arms"] = {name: {**arm, "seeds": seeds} for name, arm in values["arms"].items()}
    return from_mapping(Plan, values)
