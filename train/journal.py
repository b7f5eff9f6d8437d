"""The run's log: one JSON object a line, and optionally TensorBoard."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jointmat.errors import DependencyError


class Journal:
    """Appends to FOLDER/log.jsonl; with `tensorboard` also writes events into the folder."""

    def __init__(self, folder: Path, tensorboard: bool = False):
        self._lines = (folder / "log.jsonl").open("a", encoding="utf-8")
        self._events = _event_writer(folder) if tensorboard else None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._lines.write(json.dumps({"step": step, "time": round(time.time()), **values}) + "\n")
        self._lines.flush()
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)

    def close(self) -> None:
        self._lines.close()
        if self._events is not None:
            self._events.close()


def _event_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise DependencyError("tensorboard=true needs tensorboard: pip install tensorboard") from error
    return SummaryWriter(folder)
