"""Write an exported file in lower precisions, and list the new files in its card."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from tqdm import tqdm

from export.calibration import Composite, composites, feeds, portrait
from export.half import to_half
from export.int8 import Group, alphas, sensitivity, to_int8, within
from export.settings import BUDGET, COUNT, SIDE
from jointmat.errors import ExportError, InputError
from jointmat.evaluation.records import read_record, write_record
from jointmat.evaluation.table import table
from jointmat.preprocess import OVERVIEW
from jointmat.runtime.files import exported_file
from jointmat.weights import sha256

_MOST_MOVED = 0.1
"""mean |Δalpha| on the packaged portrait above which a file is considered broken"""


def quantize(
    model: str | Path,
    precisions: Sequence[str],
    data: Path | None = None,
    *,
    count: int = COUNT,
    side: int = SIDE,
    budget: float = BUDGET,
    calibration: str = "train*",
) -> Iterator[str]:
    """Write the files beside the model's own, and list them in its card if it has one; yields lines to print.

    Parameters
    ----------
    precisions : "fp16", "int8"
    data : folder whose training composites INT8 is calibrated on, see `export.calibration.composites`
    count, side : of the composites, and of their long side in pixels
    calibration : split of the data whose composites INT8 is calibrated on, a name or pattern
    budget : mean |Δalpha| that the quantised groups of layers may add up to, each measured alone

    Raises
    ------
    InputError
        for int8 without data.
    ExportError
        if a written file is not valid, or its alpha is not finite or far off.
    """
    if "int8" in precisions and data is None:
        raise InputError("int8 needs --data DIR, a folder with a manifest.csv of cut-outs and backgrounds")
    plain = exported_file(model)
    if plain.suffix != ".onnx":
        raise InputError(f"{plain}: expected an .onnx file, as made by python -m export onnx")
    images = list(composites(data, count, calibration)) if data and "int8" in precisions else []
    judge = portrait(plain)
    made = []
    for precision in precisions:
        path = plain.with_name(f"{plain.stem}-{precision}.onnx")
        if precision == "fp16":
            to_half(plain, path)
        else:
            inputs = feeds(images, *_signature(plain), side)
            measured = sensitivity(plain, inputs, _bar)
            names = within(measured, budget)
            yield from _report(measured, names)
            to_int8(plain, path, inputs, names)
        made.append(path)
        before, after = (file.stat().st_size / 1e6 for file in (plain, path))
        yield f"{path}: {after:.1f} MB, {after / before:.0%} of fp32; {_moved(plain, path, judge)}"
    card = plain.with_suffix(".json")
    if content := read_record(card):
        content["sha256"] |= sums(made)
        write_record(card, content)


def sums(files: Iterable[Path]) -> dict[str, str]:
    """The sha256 of each file by its name, for the card: a named model is only loaded if its card agrees."""
    return {path.name: sha256(path) for path in files}


def _bar(groups: Iterable[Group]) -> Iterable[Group]:
    return tqdm(list(groups), disable=None, unit="group")


def _report(groups: list[Group], chosen: set[str]) -> Iterator[str]:
    rows = [["group of layers", "weights", "mean |Δalpha| alone", "precision"]]
    for group in groups:
        precision = "int8" if group.name in chosen else "fp32"
        rows.append([group.name, f"{group.weights:,}", f"{group.error:.6f}", precision])
    yield table(rows)


def _moved(source: Path, path: Path, image: Composite) -> str:
    """The change of alpha on an image; if far too large, remove the file and raise ExportError."""
    feed, *_ = feeds([image], *_signature(source), OVERVIEW)
    before, after = (alphas(file, [feed])[0] for file in (source, path))
    difference = np.abs(after - before)
    if not difference.mean() <= _MOST_MOVED:  # nor if it is not finite
        path.unlink()
        raise ExportError(
            f"{path}: alpha changes by {difference.mean():.3f} on the packaged portrait, expected at most "
            f"{_MOST_MOVED}; file removed"
        )
    return f"alpha of the portrait changes by {difference.mean():.4f} on average, {difference.max():.2f} at most"


def _signature(path: Path) -> tuple[list[str], int]:
    """Names of the inputs, and the stride."""
    model = onnx.load(path)
    stride = next(entry.value for entry in model.metadata_props if entry.key == "stride")
    return [value.name for value in model.graph.input], int(stride)
