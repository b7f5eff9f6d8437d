"""The labelled photos, cut-outs and backgrounds of a data folder, as its manifest.csv lists them."""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jointmat.errors import InputError
from jointmat.io.image import load_alpha


@dataclass(frozen=True)
class Row:
    """One line of a manifest."""

    split: str
    source: str
    kind: str
    """alpha, mask, cutout or background; other texts where nothing is known"""
    image: Path
    label: Path | None

    def alpha(self) -> np.ndarray:
        """(H, W) float32 in [0, 1] of the label."""
        return load_alpha(self.label)  # type: ignore[arg-type]


def read_manifest(data: Path) -> list[Row]:
    """All rows of DATA/manifest.csv.

    Raises
    ------
    InputError
        if there is none, or it lacks a column.
    """
    path = data / "manifest.csv"
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a folder with a manifest.csv")
    with path.open(newline="", encoding="utf-8") as file:
        try:
            return [
                Row(
                    row["split"],
                    row["source"],
                    row["kind"],
                    data / row["image"],
                    data / row["label"] if row["label"] else None,
                )
                for row in csv.DictReader(file)
            ]
        except KeyError as error:
            raise InputError(
                f"{path}: no column {error}; expected split, source, kind, image and label"
            ) from error


def with_alpha(data: Path, split: str, sources: Collection[str] = (), most: int | None = None) -> list[Row]:
    """Photos of a split with a true alpha, of the named sources if any are named; evenly at most so many of each
    source. InputError if there are none."""
    rows = [r for r in read_manifest(data) if r.split == split and r.kind == "alpha" and r.label]
    rows = [r for r in rows if not sources or r.source in sources]
    if not rows:
        raise InputError(f"{data}: no photo with an alpha in split {split!r}, sources {sorted(sources) or 'any'}")
    chosen = []
    for source in dict.fromkeys(r.source for r in rows):
        members = [r for r in rows if r.source == source]
        chosen += members[:: -(-len(members) // most) if most else 1]
    return chosen
