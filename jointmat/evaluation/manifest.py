"""Images with their labels, and the `manifest.csv` that lists them.

Its columns are id, split, source, licence, kind, image, label, trimap, and optionally weight; paths are relative
to its folder.
"""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from jointmat.errors import InputError
from jointmat.io.image import load_alpha

_COLUMNS = ("id", "split", "source", "licence", "kind", "image", "label", "trimap")


class Kind(StrEnum):
    """The kind of an item: what its files hold."""

    CUTOUT = "cutout"
    """RGBA: clean foreground colours and their alpha, to be put on any background"""
    ALPHA = "alpha"
    """image and alpha matte"""
    MASK = "mask"
    """image and coarse binary mask, which says nothing about hair"""
    BACKGROUND = "background"
    """image without a person"""


@dataclass(frozen=True)
class Item:
    """One image with its label."""

    kind: Kind
    source: str
    name: str
    image: Path
    licence: str = "not stated"
    label: Path | None = None
    trimap: Path | None = None
    weight: Path | None = None
    """grey image: how far to trust the label at each pixel; None: as its kind says"""
    split: str = ""
    """of its data set; empty if it has none"""

    def alpha(self) -> np.ndarray:
        """(H, W) float32 in [0, 1] of the label; InputError where there is none."""
        if self.label is None:
            raise InputError(f"{self.name}: no label to compare with")
        return load_alpha(self.label)


def read_manifest(
    root: Path, splits: Collection[str], sources: Collection[str] = (), exclude: Collection[str] = ()
) -> list[Item]:
    """Items of some splits; of the named sources only, if any are named; without the excluded ones.

    Parameters
    ----------
    splits : their names, or patterns such as "train*"
    exclude : names of items, as NAME or SOURCE/NAME

    Raises
    ------
    InputError
        if there is no manifest, it lacks a column, or nothing in it is of these splits and sources, or what is
        has a kind that there is not.
    """
    rows = _rows(root)
    licences = {row["source"]: row["licence"] for row in rows if not row["licence"].startswith("see ")}
    items = [
        _item(root, row, licences.get(row["source"], row["licence"]))
        for row in rows
        if any(fnmatchcase(row["split"], split) for split in splits)
        and (not sources or row["source"] in sources)
        and not is_named(row["source"], row["id"], exclude)
    ]
    if not items:
        chosen = f"splits {sorted(splits)} and sources {sorted(sources) or 'any'}"
        raise InputError(f"{_file(root)}: no items in {chosen}")
    return items


def read_labelled(
    root: Path,
    split: str,
    sources: Collection[str] = (),
    *,
    kinds: Collection[Kind] = (Kind.ALPHA, Kind.MASK),
    most: int | None = None,
) -> list[Item]:
    """Images to evaluate on: those of a split that have a label, source by source.

    Parameters
    ----------
    kinds : only images of these
    most : at most so many of each source, evenly spread; None for all

    Raises
    ------
    InputError
        if there are none, or two have one name; or as in `read_manifest`.
    """
    items = [item for item in read_manifest(root, [split], sources) if item.label and item.kind in kinds]
    if not items:
        raise InputError(
            f"{root}: no image with a label of kind {' or '.join(kinds)} in split {split!r}, "
            f"sources {sorted(sources) or 'any'}"
        )
    check_names(items)
    chosen = []
    for source in dict.fromkeys(item.source for item in items):
        members = [item for item in items if item.source == source]
        count = min(most or len(members), len(members))
        chosen += [members[i * len(members) // count] for i in range(count)]
    return chosen


def is_named(source: str, name: str, names: Collection[str]) -> bool:
    """Whether an item is among names, which may be given as NAME or SOURCE/NAME."""
    return name in names or f"{source}/{name}" in names


def check_names(items: Collection[Item]) -> None:
    """InputError if two items share a name: results are stored by name."""
    first: dict[str, Item] = {}
    for item in items:
        if first.setdefault(item.name, item) is not item:
            raise InputError(
                f"{item.image} and {first[item.name].image} share the name {item.name}, by which results "
                "are stored; rename one, or choose a source"
            )


def _file(root: Path) -> Path:
    return root / "manifest.csv"


def _rows(root: Path) -> list[dict[str, str]]:
    path = _file(root)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a folder with a manifest.csv")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin theirs with a mark
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table of comma-separated values in UTF-8 ({error})") from error
    if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
        raise InputError(f"{path}: no column {', '.join(missing)}; expected {', '.join(_COLUMNS)}")
    return rows


def _item(root: Path, row: dict[str, str], licence: str) -> Item:
    if row["kind"] not in set(Kind):
        raise InputError(f"{_file(root)}: {row['id']} has kind {row['kind']!r}; expected {', '.join(Kind)}")
    label = root / row["label"] if row["label"] else None
    trimap = root / row["trimap"] if row["trimap"] else None
    weight = root / row["weight"] if row.get("weight") else None
    image, kind = root / row["image"], Kind(row["kind"])
    return Item(kind, row["source"], row["id"], image, licence, label, trimap, weight, row["split"])
