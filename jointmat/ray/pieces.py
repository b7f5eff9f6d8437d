"""The pieces of a job, and the work on one.

A unit is an image of a folder, a tar, or a row group of a Parquet file; a piece is some images, or one of the
others. When the results of a piece are written, a record follows: a Parquet file in `RECORDS` with a row for
every image. Units with a record are done; the others are done again, and their results take the place of what
there may be. So a job may be killed at any time, and started again.
"""

import hashlib
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from jointmat.cli.files import IMAGES
from jointmat.errors import InputError
from jointmat.parallel import in_order
from jointmat.ray.matting import Matting
from jointmat.ray.store import Store

T = TypeVar("T")
R = TypeVar("R")

RECORDS = "records"

Row: TypeAlias = dict[str, Any]
_RECORD = pa.schema(
    [(name, pa.string()) for name in ("unit", "name", "result", "error")] + [("coverage", pa.float64())]
)


def pieces_of(source: Store, target: Store, extension: str, size: int) -> tuple[list[Row], int]:
    """What is left to do, as arguments of `Pieces`, and how many units are done.

    size : images of a piece, where they lie by themselves
    """
    names = source.files()
    results = _results([name for name in names if PurePosixPath(name).suffix.lower() in IMAGES], extension)
    units = list(results)
    for name in names:
        if name.endswith(".tar"):
            units.append(name)
        elif name.endswith(".parquet"):
            units += (f"{name}#{group}" for group in range(_row_groups(source, name)))
    if not units:
        raise InputError(f"{source.address}: got no images, .tar or .parquet in this folder")
    done = _done(target)
    left = [unit for unit in units if unit not in done]
    alone = [unit for unit in left if unit in results]
    groups = [alone[start : start + size] for start in range(0, len(alone), size)]
    groups += ([unit] for unit in left if unit not in results)
    pieces = [{"units": group, "results": [results.get(unit, "") for unit in group]} for group in groups]
    return pieces, len(units) - len(left)


def _row_groups(source: Store, name: str) -> int:
    try:
        with source.open(name) as file:
            return pq.ParquetFile(file).num_row_groups
    except pa.ArrowInvalid as error:
        raise InputError(f"{name}: not a Parquet file; take it out ({error})") from error


def _results(images: Sequence[str], extension: str) -> dict[str, str]:
    """The file that each image's result goes to; those that share a stem keep their own extension too."""
    stems = {name: str(PurePosixPath(name).with_suffix("")) for name in images}
    shared = Counter(stems.values())
    return {name: f"{stem if shared[stem] == 1 else name}.{extension}" for name, stem in stems.items()}


def _done(target: Store) -> set[str]:
    """Units that records tell of."""
    done: set[str] = set()
    for name in target.files(RECORDS):
        with target.open(name) as file:
            done.update(pq.read_table(file, columns=["unit"])["unit"].to_pylist())
    return done


def do_piece(piece: Row, source: str, target: str, settings: str) -> Row:
    """`Pieces` for `Dataset.map`; `settings` in JSON.

    A task, for Ray gives those of a node that died to another one, whereas an actor's would wait for its return.
    The model is loaded once a process, which Ray uses for many tasks.
    """
    return _pieces(source, target, settings)(piece)


@cache
def _pieces(source: str, target: str, settings: str) -> "Pieces":
    return Pieces(source, target, json.loads(settings))


class Pieces:
    """Does pieces.

    Parameters
    ----------
    source, target : addresses, see `Store`
    settings : of `Matting`, with one output
    """

    def __init__(self, source: str, target: str, settings: dict[str, Any]):
        self._source, self._target, self._matting = Store(source), Store(target), Matting(**settings)
        (self._output,) = self._matting.outputs

    def __call__(self, piece: Row) -> Row:
        """Do a piece, unless it is done already.

        Returns
        -------
        `units`, the number of them, `images`, and `failed`: a line for each image that has an error
        """
        units = list(piece["units"])
        record = f"{RECORDS}/{hashlib.sha256(chr(10).join(units).encode()).hexdigest()[:32]}.parquet"
        if self._target.has(record):  # by a process that was taken for dead
            rows = pq.read_table(BytesIO(self._target.read(record))).to_pylist()
        else:
            rows = self._rows(units, list(piece["results"]))
            written = BytesIO()
            pq.write_table(pa.Table.from_pylist(rows, _RECORD), written)
            self._target.write(record, written.getvalue())
        failed = [f"{row['name']}: {row['error']}" for row in rows if row["error"]]
        return {"units": len(units), "images": len(rows), "failed": failed}

    def _rows(self, units: list[str], results: list[str]) -> list[Row]:
        if units[0].endswith(".tar"):
            return self._tar(units[0])
        if results[0]:
            return list(self._each(self._file, zip(units, results, strict=True)))
        return self._row_group(*units[0].rsplit("#", 1))

    def _each(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        # One more than there are cores, so that these work while another reads or writes.
        return in_order(work, items, self._matting.threads + 1, lambda _: 0)

    def _file(self, item: tuple[str, str]) -> Row:
        unit, result = item
        try:
            data = self._source.read(unit)
        except OSError as error:
            return _row(unit, unit, error=" ".join(str(error).split()))
        row = self._matting.row(data)
        if row.get("error"):
            return _row(unit, unit, error=row["error"])
        self._target.write(result, row[self._output])
        return _row(unit, unit, result, coverage=row["coverage"])

    def _tar(self, unit: str) -> list[Row]:
        """The first image of each sample; the result's tar has KEY.FORMAT and KEY.json."""
        records: list[Row] = []
        rows = self._each(lambda sample: (sample[0], self._matting.row(sample[1])), self._samples(unit))
        try:
            self._write_tar(unit, rows, records)
        except tarfile.TarError as error:
            return [_row(unit, unit, error=f"not a whole tar: {error}")]
        return records

    def _write_tar(self, unit: str, rows: Iterable[tuple[str, Row]], records: list[Row]) -> None:
        with self._target.written(unit) as file, tarfile.open(fileobj=file, mode="w") as tar:
            for key, row in rows:
                result = None
                if data := row.get(self._output):
                    result = f"{key}.{self._matting.format}"
                    _add(tar, result, data)
                told = {name: row.get(name) for name in ("coverage", "error")}
                _add(tar, f"{key}.json", json.dumps(told).encode())
                records.append(_row(unit, f"{unit}/{key}", result, **told))

    def _samples(self, unit: str) -> Iterator[tuple[str, bytes]]:
        """Keys and images of a WebDataset tar."""
        seen: set[str] = set()
        with self._source.open(unit) as stream, tarfile.open(fileobj=stream) as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                key = str(name.with_name(name.name.split(".")[0]))
                if member.isfile() and name.suffix.lower() in IMAGES and key not in seen:
                    seen.add(key)
                    yield key, tar.extractfile(member).read()  # type: ignore[union-attr]

    def _row_group(self, name: str, group: str) -> list[Row]:
        """The table's other columns stay; a column `image` of the form that Hugging Face writes is known, too."""
        with self._source.open(name) as file:
            table = pq.ParquetFile(file).read_row_group(int(group))
        if "image" in table.column_names and "bytes" not in table.column_names:
            images = table["image"].combine_chunks()
            data = images.field("bytes") if pa.types.is_struct(images.type) else images
            table = table.drop_columns(["image"]).append_column("bytes", data)
        done = self._matting(table)
        result = f"{name.removesuffix('.parquet')}-{int(group):05}.parquet"
        with self._target.written(result) as file:
            pq.write_table(done, file)
        rows = zip(done["error"].to_pylist(), done["coverage"].to_pylist(), strict=True)
        unit = f"{name}#{group}"
        return [_row(unit, f"{unit}/{i}", result, error, coverage) for i, (error, coverage) in enumerate(rows)]


def _row(
    unit: str, name: str, result: str | None = None, error: str | None = None, coverage: float | None = None
) -> Row:
    """A row of a record."""
    return {"unit": unit, "name": name, "result": result, "error": error, "coverage": coverage}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, BytesIO(data))
