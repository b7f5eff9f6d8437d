"""The record of a run that its weights file carries."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jointmat.config import to_mapping
from jointmat.evaluation.machine import processor
from jointmat.evaluation.manifest import Item
from jointmat.record import Record, Source, with_run
from jointmat.weights import find_weights, read_training, sha256
from train.config import TrainConfig
from train.pretrained import origin


def sources_of(items: Iterable[Item]) -> list[Source]:
    """Where the images come from."""
    counts = Counter((item.source, item.licence) for item in items)
    return [
        {"source": source, "licence": licence, "pictures": count}
        for (source, licence), count in sorted(counts.items())
    ]


def training_record(
    config: TrainConfig, start: dict[str, Any], sources: list[Source], steps: int, samples: int, seconds: float
) -> Record:
    """The record of a run, see `jointmat.record`.

    start : see `starting_point`
    """
    run = {
        "steps": steps,
        "samples": samples,
        "hours": round(seconds / 3600, 2),
        "machine": f"{processor()}, {config.threads} threads",
    }
    weights = {key: value for key, value in start.items() if key != "training"}
    return with_run(start.get("training", {}), weights, run, sources, _settings(config))


def starting_point(config: TrainConfig) -> dict[str, Any]:
    """Where the first weights come from; those of an earlier run bring its record along, so that no source of
    theirs is forgotten."""
    if not config.initial_weights:
        return origin(config.model.encoder) if config.imagenet else {"source": "random weights"}
    path = find_weights(config.initial_weights, ".safetensors")
    return {"weights": path.name, "sha256": sha256(path), "training": read_training(path)}


def _settings(config: TrainConfig) -> dict[str, Any]:
    """The configuration without the paths of the machine it ran on."""
    settings: dict[str, Any] = json.loads(json.dumps(to_mapping(config)))  # lists, as a file gives them back
    data = settings["data"]
    data["root"], data["cache"] = "DIR", Path(data["cache"]).name
    for part in (*data["mixture"], *data["given"], *data["backgrounds"]):
        part["root"] = Path(part["root"]).name
    settings["initial_weights"] = Path(config.initial_weights).name
    return settings
