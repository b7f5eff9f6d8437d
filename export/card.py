"""The card beside a model's files: what it is, and the sums that its files must have."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jointmat.io.atomic import atomic_write
from jointmat.weights import sha256


def read_card(path: Path) -> dict[str, Any]:
    """The content of a card; of one that is not there, nothing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_card(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all."""
    with atomic_write(path) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def sums(files: Iterable[Path]) -> dict[str, str]:
    """The sha256 of each file by its name: a named model is only used when its card states them."""
    return {path.name: sha256(path) for path in files}
