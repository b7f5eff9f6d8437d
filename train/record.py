"""What a run was: the facts that a weights file must carry with it."""

import platform
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jointmat.config import to_mapping
from train.config import TrainConfig
from train.data.items import Item
from train.pretrained import origin


def training_record(config: TrainConfig, items: Iterable[Item], steps: int, seconds: float) -> dict[str, Any]:
    """Samples, hours, machine, settings, and every source with its licence as its own words state it."""
    counts = Counter((item.source, item.licence) for item in items)
    return {
        "steps": steps,
        "samples": steps * config.batch_size,
        "hours": round(seconds / 3600, 2),
        "machine": f"{_processor()}, {config.threads} threads",
        "started_from": (
            {"source": Path(config.initial_weights).name, "licence": "see its own record"}
            if config.initial_weights
            else origin(config.model.encoder)
        ),
        "sources": [
            {"source": source, "licence": licence, "pictures": count}
            for (source, licence), count in sorted(counts.items())
        ],
        "settings": {**to_mapping(config), "data": {**to_mapping(config.data), "root": "DIR"}},
    }


def _processor() -> str:
    """Name of the processor, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
