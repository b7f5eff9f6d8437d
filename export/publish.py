"""From trained weights to a named model: weights, ONNX files and the card with their checksums."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jointmat
from export.onnx import export_onnx
from export.precision import compare, precision_table
from export.quantize import quantize, sums
from export.settings import WEIGHTS_LICENCE
from jointmat.config import to_mapping
from jointmat.evaluation.manifest import Item, Kind, read_labelled
from jointmat.evaluation.records import read_record, write_record
from jointmat.models.joint import JointMatting
from jointmat.weights import read_training

CODE_LICENCE = "Apache-2.0"


def publish(
    weights: Path,
    name: str,
    folder: Path,
    data: Path | None = None,
    *,
    split: str = "val",
    images: int | None = None,
    commands: Sequence[str] = (),
    licence: str = WEIGHTS_LICENCE,
    **settings: Any,
) -> Iterator[str]:
    """Write NAME.safetensors, NAME.onnx and the card NAME.json into `folder`; with data also NAME-int8.onnx, with
    its error in the card. Yields lines to print.

    The files replace older ones once all of them are made. Files that an earlier card of this name lists and
    that are not made again are removed, because they belong to other weights.

    Parameters
    ----------
    data : folder with a manifest.csv, see `export.quantize.quantize`
    split, images : of the data, to compare INT8 with fp32 on; at most so many images of each source
    commands : those that made the weights, for the card
    licence : of the weights, for the card
    settings : of `export.quantize.quantize`

    Raises
    ------
    WeightsError
        for a file that does not hold a joint network.
    ExportError, InputError
        as in `export_onnx` and `quantize`.
    """
    model = JointMatting.from_pretrained(weights)
    items = read_labelled(data, split, kinds=[Kind.ALPHA], most=images) if data else []
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=folder) as name_of_draft:
        draft, card = Path(name_of_draft), folder / f"{name}.json"
        for line in _make(model, weights, draft / f"{name}.safetensors", commands, licence):
            yield line.replace(str(draft), str(folder))
        if data:
            for line in _quantized(draft / f"{name}.onnx", data, items, settings):
                yield line.replace(str(draft), str(folder))
        made = {path.name for path in draft.iterdir()}
        for outdated in {Path(old).name for old in read_record(card).get("sha256", {})} - made:
            (folder / outdated).unlink(missing_ok=True)
        for path in sorted(draft.iterdir(), key=lambda path: path.name == card.name):  # the card last
            path.replace(folder / path.name)
    yield f"wrote {card} and the files it names"


def _make(
    model: JointMatting, weights: Path, stored: Path, commands: Sequence[str], licence: str
) -> Iterator[str]:
    """The weights, and beside them the ONNX file and the card."""
    shutil.copyfile(weights, stored)
    graph = stored.with_suffix(".onnx")
    yield f"{graph}: {export_onnx(model, graph, source=stored)}"
    content = {
        "name": stored.stem,
        "version": jointmat.__version__,
        "model": to_mapping(model.config),
        "sha256": sums([stored, graph]),
        "licence": {"code": CODE_LICENCE, "weights": licence},
        "commands": list(commands),
        "training": read_training(stored),
    }
    write_record(stored.with_suffix(".json"), content)


def _quantized(plain: Path, data: Path, items: Sequence[Item], settings: Mapping[str, Any]) -> Iterator[str]:
    """The INT8 file, and its error in the card."""
    yield from quantize(plain, ["int8"], data, **settings)
    forms = compare(plain, items)
    yield precision_table(forms)
    card = plain.with_suffix(".json")
    content = read_record(card)
    content["precision"] = {
        precision: {"mean_abs_difference": round(form.difference(), 6), "sad": form.sad()}
        for precision, form in forms.items()
    }
    write_record(card, content)
