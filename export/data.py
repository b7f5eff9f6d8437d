"""The photos that exported files are judged on."""

from collections.abc import Collection
from pathlib import Path

from jointmat.errors import InputError
from jointmat.evaluation.manifest import Item, Kind, read_manifest


def with_alpha(data: Path, split: str, sources: Collection[str] = (), most: int | None = None) -> list[Item]:
    """Photos of a split with a true alpha, of the named sources if any are named; evenly at most so many of each
    source. InputError if there are none."""
    items = [i for i in read_manifest(data, [split], sources) if i.kind is Kind.ALPHA and i.label]
    if not items:
        raise InputError(f"{data}: no photo with an alpha in split {split!r}, sources {sorted(sources) or 'any'}")
    chosen = []
    for source in dict.fromkeys(item.source for item in items):
        members = [item for item in items if item.source == source]
        chosen += members[:: -(-len(members) // most) if most else 1]
    return chosen
