"""From an exported file to its forms in lower precision, and into the card."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import onnx
from tqdm import tqdm

from export.calibration import composites, feeds
from export.half import to_half
from export.int8 import Group, to_int8
from jointmat.io.atomic import atomic_write
from jointmat.predictor import Predictor
from jointmat.runtime.files import exported_file
from jointmat.weights import sha256


def quantize(
    model: str, precisions: Sequence[str], calibration: Path | None, count: int, side: int, budget: float
) -> Iterator[str]:
    """Write the files beside the model's own, and list them in its card if it has one; yields what to print.

    Parameters
    ----------
    precisions : "fp16", "int8"
    calibration : folder of pictures of people, see `export.calibration.composites`; for int8
    count, side : of the composites
    budget : see `export.int8.to_int8`
    """
    plain = exported_file(model)
    variants = [""] + (["-trimap"] if plain.with_name(f"{plain.stem}-trimap.onnx").is_file() else [])
    sources = {variant: plain.with_name(f"{plain.stem}{variant}.onnx") for variant in variants}
    targets = {
        (precision, variant): plain.with_name(f"{plain.stem}-{precision}{variant}.onnx")
        for precision in precisions
        for variant in variants
    }
    mattes = (
        list(composites(calibration, count, Predictor(plain))) if calibration and "int8" in precisions else []
    )
    for (precision, variant), path in targets.items():
        if precision == "fp16":
            to_half(sources[variant], path)
        else:
            inputs = [value.name for value in onnx.load(sources[variant]).graph.input]
            stride = _stride(sources[variant])
            found = to_int8(sources[variant], path, feeds(iter(mattes), inputs, side, stride), budget, _bar)
            yield from _report(*found)
        before, after = (file.stat().st_size / 1e6 for file in (sources[variant], path))
        yield f"{path}: {after:.1f} MB, {after / before:.0%} of fp32"
    _list_in_card(plain.with_suffix(".json"), list(targets.values()))


def _bar(groups: Iterable[Group]) -> Iterable[Group]:
    return tqdm(list(groups), disable=None, unit="group")


def _report(groups: list[Group], chosen: set[str]) -> Iterator[str]:
    yield f"{'group of layers':44}{'weights':>10}{'mean |Δalpha| alone':>21}"
    for group in groups:
        kept = "" if group.name in chosen else "  stays fp32"
        yield f"{group.name:44}{group.weights:10,}{group.error:21.6f}{kept}"


def _stride(path: Path) -> int:
    return int(next(entry.value for entry in onnx.load(path).metadata_props if entry.key == "stride"))


def _list_in_card(card: Path, files: list[Path]) -> None:
    """A named model is only used when its card states the sums of its files."""
    if not card.is_file():
        return
    content = json.loads(card.read_text(encoding="utf-8"))
    content["sha256"] |= {path.name: sha256(path) for path in files}
    with atomic_write(card) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
