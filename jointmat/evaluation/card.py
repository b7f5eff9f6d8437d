"""The card beside a model's files, NAME.json: what the model is, and the sha256 of each file."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jointmat.io.atomic import atomic_write
from jointmat.weights import sha256


def read_card(path: Path) -> dict[str, Any]:
    """The content of a card; an empty one where there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_card(path: Path, content: dict[str, Any]) -> None:
    """Write a card."""
    with atomic_write(path) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def sums(files: Iterable[Path]) -> dict[str, str]:
    """The sha256 of each file by its name: a named model is only loaded if its card agrees."""
    return {path.name: sha256(path) for path in files}
