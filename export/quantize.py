"""From an exported file to its forms in lower precision, and into the card."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from tqdm import tqdm

from export.calibration import Composite, composites, feeds, portrait
from export.card import read_card, sums, write_card
from export.half import to_half
from export.int8 import Group, alphas, sensitivity, to_int8, within
from export.settings import BUDGET, COUNT, SIDE
from jointmat.errors import ExportError, InputError
from jointmat.preprocess import OVERVIEW
from jointmat.runtime.files import exported_file

_MOST_MOVED = 0.1
"""mean |Δalpha| on the packaged portrait, beyond which a file is not of the same network any more"""


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
    """Write the files beside the model's own, and list them in its card if it has one; yields what to print.

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
        if a file that was made is not valid, or its alpha not finite.
    """
    if "int8" in precisions and data is None:
        raise InputError("int8 needs --data DIR, a folder with a manifest.csv of cut-outs and backgrounds")
    plain = exported_file(model)
    if plain.suffix != ".onnx":
        raise InputError(f"{plain}: expected an .onnx file, as made by python -m export onnx")
    pictures = list(composites(data, count, calibration)) if data and "int8" in precisions else []
    judge = portrait(plain)
    made = []
    for precision in precisions:
        path = plain.with_name(f"{plain.stem}-{precision}.onnx")
        if precision == "fp16":
            to_half(plain, path)
        else:
            inputs = feeds(pictures, *_signature(plain), side)
            measured = sensitivity(plain, inputs, _bar)
            names = within(measured, budget)
            yield from _report(measured, names)
            to_int8(plain, path, inputs, names)
        made.append(path)
        before, after = (file.stat().st_size / 1e6 for file in (plain, path))
        yield f"{path}: {after:.1f} MB, {after / before:.0%} of fp32; {_moved(plain, path, judge)}"
    card = plain.with_suffix(".json")
    if content := read_card(card):
        content["sha256"] |= sums(made)
        write_card(card, content)


def _bar(groups: Iterable[Group]) -> Iterable[Group]:
    return tqdm(list(groups), disable=None, unit="group")


def _report(groups: list[Group], chosen: set[str]) -> Iterator[str]:
    yield f"{'group of layers':44}{'weights':>10}{'mean |Δalpha| alone':>21}"
    for group in groups:
        kept = "" if group.name in chosen else "  stays fp32"
        yield f"{group.name:44}{group.weights:10,}{group.error:21.6f}{kept}"


def _moved(source: Path, path: Path, picture: Composite) -> str:
    """How far alpha moves on a picture at the usual size; ExportError, and no file, if it is another one."""
    feed, *_ = feeds([picture], *_signature(source), OVERVIEW)
    before, after = (alphas(file, [feed])[0] for file in (source, path))
    difference = np.abs(after - before)
    if not difference.mean() <= _MOST_MOVED:  # nor if it is not finite
        path.unlink()
        raise ExportError(
            f"{path}: its alpha is off by {difference.mean():.3f}, or not finite, on the packaged portrait; "
            f"expected at most {_MOST_MOVED}; the file was removed"
        )
    return f"on the packaged portrait alpha moves by {difference.mean():.4f}, {difference.max():.2f} at most"


def _signature(path: Path) -> tuple[list[str], int]:
    """Names of the inputs, and the stride."""
    model = onnx.load(path)
    stride = next(entry.value for entry in model.metadata_props if entry.key == "stride")
    return [value.name for value in model.graph.input], int(stride)
