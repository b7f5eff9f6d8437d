"""Results kept as JSON: a model's card, the result of a run, measured costs."""

import json
from pathlib import Path
from typing import Any

from jointmat.io.atomic import atomic_write


def read_record(path: Path) -> dict[str, Any]:
    """The content of a file; empty where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_record(path: Path, content: dict[str, Any], indent: int | None = 2) -> None:
    """Write a file, whole or not at all."""
    with atomic_write(path) as file:
        file.write((json.dumps(content, indent=indent, ensure_ascii=False) + "\n").encode())
