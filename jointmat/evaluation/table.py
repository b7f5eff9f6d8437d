"""Tables: as text for a terminal, as Markdown for a document, as CSV for programs."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from jointmat.io.atomic import atomic_write

MISSING = "–"
"""Shown where there is no value."""


def table(rows: Sequence[Sequence[str]], style: str = "plain") -> str:
    """Rows of one length, the first of them the header, in aligned columns: the first column to the left.

    style : "plain" for a terminal, "pipe" for Markdown
    """
    align = ("left", *["right"] * (len(rows[0]) - 1))
    return tabulate(rows[1:], rows[0], style, disable_numparse=True, colalign=align if rows[1:] else None)


def number(value: float | None, digits: int = 4) -> str:
    """A cell of a `table`."""
    return MISSING if value is None else f"{value:.{digits}f}"


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write rows, the first of them the header; floats with six significant digits, None as an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows
    )
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
