"""Reader of a `manifest.csv` (id, split, source, licence, kind, image, label, trimap; perhaps weight)."""

import csv
from collections.abc import Collection
from pathlib import Path

from jointmat.errors import InputError
from train.data.items import Item, Kind

_COLUMNS = ("id", "split", "source", "licence", "kind", "image", "label", "trimap")


def read_manifest(
    root: Path, splits: Collection[str], sources: Collection[str] = (), exclude: Collection[str] = ()
) -> list[Item]:
    """Items of the named splits; of the named sources only, if any are named; without the excluded names.

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
        if row["split"] in splits and (not sources or row["source"] in sources) and row["id"] not in exclude
    ]
    if not items:
        chosen = f"splits {sorted(splits)} and sources {sorted(sources) or 'any'}"
        raise InputError(f"{_file(root)}: nothing of {chosen}")
    return items


def _file(root: Path) -> Path:
    return root / "manifest.csv"


def _rows(root: Path) -> list[dict[str, str]]:
    path = _file(root)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a folder with a manifest.csv")
    with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin theirs with a mark
        reader = csv.DictReader(file, restval="")
        if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
            raise InputError(f"{path}: no column {', '.join(missing)}; expected {', '.join(_COLUMNS)}")
        return list(reader)


def _item(root: Path, row: dict[str, str], licence: str) -> Item:
    if row["kind"] not in set(Kind):
        raise InputError(f"{_file(root)}: {row['id']} has kind {row['kind']!r}; expected {', '.join(Kind)}")
    label = root / row["label"] if row["label"] else None
    trimap = root / row["trimap"] if row["trimap"] else None
    weight = root / row["weight"] if row.get("weight") else None
    return Item(Kind(row["kind"]), row["source"], row["id"], root / row["image"], licence, label, trimap, weight)
