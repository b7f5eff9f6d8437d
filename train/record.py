"""The record of a run that its weights file carries."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jointmat.config import to_mapping
from jointmat.evaluation.machine import processor
from jointmat.evaluation.manifest import Item
from jointmat.weights import find_weights, read_training, sha256
from train.config import TrainConfig
from train.pretrained import origin

Source = dict[str, Any]
"""Its name, its licence in its own words, and its number of images."""


def sources_of(items: Iterable[Item]) -> list[Source]:
    """Where the images come from."""
    counts = Counter((item.source, item.licence) for item in items)
    return [
        {"source": source, "licence": licence, "pictures": count}
        for (source, licence), count in sorted(counts.items())
    ]


def joined_sources(first: Iterable[Source], second: Iterable[Source]) -> list[Source]:
    """Both lists, each source with its larger number of images: a run that was resumed with other data has seen
    the earlier data, too."""
    found: dict[tuple[str, str], Source] = {}
    for entry in (*first, *second):
        key = entry["source"], entry["licence"]
        if key not in found or found[key]["pictures"] < entry["pictures"]:
            found[key] = entry
    return [found[key] for key in sorted(found)]


def training_record(
    config: TrainConfig, start: dict[str, Any], sources: list[Source], steps: int, samples: int, seconds: float
) -> dict[str, Any]:
    """Samples, hours, machine, settings and sources.

    start : see `starting_point`
    """
    return {
        "steps": steps,
        "samples": samples,
        "hours": round(seconds / 3600, 2),
        "machine": f"{processor()}, {config.threads} threads",
        "started_from": start,
        "sources": sources,
        "settings": _settings(config),
    }


def starting_point(config: TrainConfig) -> dict[str, Any]:
    """Where the first weights come from; those of an earlier run bring its record along, so that no source of
    theirs is forgotten."""
    if not config.initial_weights:
        return origin(config.model.encoder) if config.imagenet else {"source": "random weights"}
    path = find_weights(config.initial_weights, ".safetensors")
    return {"weights": path.name, "sha256": sha256(path), "training": read_training(path)}


def _settings(config: TrainConfig) -> dict[str, Any]:
    """The configuration without the paths of the machine it ran on."""
    settings = to_mapping(config)
    data = settings["data"]
    data["root"], data["cache"] = "DIR", Path(data["cache"]).name
    for part in (*data["mixture"], *data["given"], *data["backgrounds"]):
        part["root"] = Path(part["root"]).name
    settings["initial_weights"] = Path(config.initial_weights).name
    return settings
