"""How weights were trained: the record in the header of a weights file, and in the card.

    samples, hours, machines   of all runs together
    sources    what they learned from: name, licence in its own words, number of images; each source once
    stages     the runs and averages from the first to the last, each with its number
    settings   of the last run, in full

A run has `started_from`, its steps, samples, hours and machine, and in `changed` how its settings differ from
those of the run listed before it: the key with its value before ("from") and after ("to"); a key that is new
has no "from", one that is gone no "to". An average has `average_of`, its two ends, and `share_of_second`. The
weights that a run started from, and each end of an average, are given as far as they are known: their file's
name in `weights`, its `sha256`, and the number of the `stage` that made them.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Record = dict[str, Any]
Source = dict[str, Any]
"""Its name, its licence in its own words, and its number of images."""

Stage = dict[str, Any]
"""As in a record, but a run has its `settings` in full instead of what changed, and the place is the number."""


def joined_sources(first: Iterable[Source], second: Iterable[Source]) -> list[Source]:
    """Both lists, each source with its larger number of images."""
    found: dict[tuple[str, str], Source] = {}
    for entry in (*first, *second):
        key = entry["source"], entry["licence"]
        if key not in found or found[key]["pictures"] < entry["pictures"]:
            found[key] = entry
    return [found[key] for key in sorted(found)]


def with_run(
    earlier: Record, start: Mapping[str, Any], run: Stage, sources: Iterable[Source], settings: Mapping[str, Any]
) -> Record:
    """The record of a run.

    Parameters
    ----------
    earlier : the record of the weights that it started from; {} for none
    start : those weights, or the source and licence of an encoder's
    run : its steps, samples, hours and machine
    """
    earlier = flattened(earlier)
    stages = stages_of(earlier)
    known = {"stage": len(stages)} if stages else {}
    stages.append({"started_from": known | dict(start), **run, "settings": settings})
    return _record(joined_sources(earlier.get("sources", []), sources), stages)


def with_average(records: Sequence[Record], ends: Sequence[Mapping[str, Any]], share_of_second: float) -> Record:
    """The record of the average of two weights, which are its `ends`. Stages that both have are listed once."""
    first, second = (flattened(record) for record in records)
    stages = stages_of(first)
    numbers: list[int] = []  # that the stages of the second have here
    last = [len(stages)]
    for stage in stages_of(second):
        moved = _renumbered(stage, numbers)
        if moved not in stages:
            stages.append(moved)
        numbers.append(stages.index(moved) + 1)
    last += numbers[-1:] or [0]
    parents = [({"stage": n} if n else {}) | dict(end) for n, end in zip(last, ends, strict=True)]
    stages.append({"average_of": parents, "share_of_second": share_of_second})
    return _record(joined_sources(first.get("sources", []), second.get("sources", [])), stages)


def flattened(record: Record) -> Record:
    """A record as above, of one of its older form as well: a tree, where each run held in full the record of the
    weights that it started from (`started_from.training`) or was averaged with (`averaged.with`)."""
    if not record or "stages" in record:
        return record
    start = dict(record.get("started_from", {}))
    earlier, sources, settings = start.pop("training", {}), record.get("sources", []), record.get("settings", {})
    structure = ("started_from", "averaged", "sources", "settings")
    run = {key: value for key, value in record.items() if key not in structure}
    found = with_run(earlier, start, run, sources, settings)
    if "averaged" in record:
        other = record["averaged"]
        found = with_average((other["with"], found), ({"sha256": other["sha256"]}, {}), other["share_of_this"])
    return found


def stages_of(record: Record) -> list[Stage]:
    """The stages of a record from the first to the last, each run with its settings in full; [] for none."""
    stages = [{key: value for key, value in s.items() if key != "stage"} for s in record.get("stages", [])]
    leaves = _leaves(record.get("settings", {}))
    for stage in reversed(stages):
        if "started_from" in stage:
            changed = stage.pop("changed", {})
            stage["settings"] = _nested(leaves)
            leaves = {key: value for key, value in leaves.items() if key not in changed}
            leaves |= {key: sides["from"] for key, sides in changed.items() if "from" in sides}
    return copy.deepcopy(stages)


def _record(sources: list[Source], stages: Iterable[Stage]) -> Record:
    settings: Mapping[str, Any] = {}
    listed: list[Stage] = []
    runs: list[Stage] = []
    for number, stage in enumerate(stages, 1):
        entry: Stage = {"stage": number} | stage
        if "started_from" in stage:
            after = entry.pop("settings")
            if runs:
                entry["changed"] = dict(_changes(_leaves(settings), _leaves(after)))
            settings = after
            runs.append(entry)
        listed.append(entry)
    return {
        "samples": sum(run.get("samples", 0) for run in runs),
        "hours": round(sum(run.get("hours", 0.0) for run in runs), 2),
        "machines": sorted({run["machine"] for run in runs if "machine" in run}),
        "sources": sources,
        "stages": listed,
        "settings": settings,
    }


def _renumbered(stage: Stage, numbers: Sequence[int]) -> Stage:
    """A stage of another record, with the numbers that the stages before it have here."""

    def moved(end: Mapping[str, Any]) -> dict[str, Any]:
        return dict(end) | ({"stage": numbers[end["stage"] - 1]} if "stage" in end else {})

    if "started_from" in stage:
        return stage | {"started_from": moved(stage["started_from"])}
    return stage | {"average_of": [moved(end) for end in stage["average_of"]]}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key in dict.fromkeys([*before, *after]):
        sides = {side: leaves[key] for side, leaves in (("from", before), ("to", after)) if key in leaves}
        if len(sides) < 2 or sides["from"] != sides["to"]:
            yield key, sides


def _leaves(settings: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The values by their keys, joined by dots."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        inner = isinstance(value, Mapping) and value
        found |= _leaves(value, f"{where}{key}.") if inner else {f"{where}{key}": value}
    return found


def _nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `_leaves`."""
    found: dict[str, Any] = {}
    for key, value in leaves.items():
        *groups, name = key.split(".")
        group = found
        for part in groups:
            group = group.setdefault(part, {})
        group[name] = value
    return found
