"""Reader of a `manifest.csv` (id, split, source, licence, kind, image, label, trimap; perhaps weight)."""

import csv
from collections.abc import Collection
from pathlib import Path

from jointmat.errors import InputError
from train.data.items import Item, Kind


def read_manifest(
    root: Path, splits: Collection[str], sources: Collection[str] = (), exclude: Collection[str] = ()
) -> list[Item]:
    """Items of the named splits; of the named sources only, if any are named; without the excluded names.

    Raises
    ------
    InputError
        if there is no manifest, or nothing in it is of these splits and sources.
    """
    path = root / "manifest.csv"
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a folder with a manifest.csv")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    licences = {row["source"]: row["licence"] for row in rows if not row["licence"].startswith("see ")}
    items = [
        _item(root, row, licences.get(row["source"], row["licence"]))
        for row in rows
        if row["split"] in splits and (not sources or row["source"] in sources) and row["id"] not in exclude
    ]
    if not items:
        raise InputError(f"{path}: nothing of splits {sorted(splits)} and sources {sorted(sources) or 'any'}")
    return items


def _item(root: Path, row: dict[str, str], licence: str) -> Item:
    kind = Kind(row["kind"]) if row["kind"] in set(Kind) else Kind.BACKGROUND
    label = root / row["label"] if row["label"] else None
    trimap = root / row["trimap"] if row["trimap"] else None
    weight = root / row["weight"] if row.get("weight") else None
    return Item(kind, row["source"], row["id"], root / row["image"], licence, label, trimap, weight)
