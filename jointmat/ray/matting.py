"""One image to one row, and the class that does it for the batches of a dataset."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import pyarrow as pa
from pyarrow.fs import FileSystem

from jointmat.errors import InputError, JointmatError
from jointmat.io.arrays import to_uint8
from jointmat.io.write import check_extension, encode_image
from jointmat.parallel import in_order
from jointmat.predictor import Predictor

Output: TypeAlias = Literal["cutout", "alpha"]


class Matting:
    """Adds mattes to the batches of a dataset.

    `dataset.map_batches(Matting, compute=ray.data.ActorPoolStrategy(size=N), num_cpus=1, batch_size=16)`; the
    model is loaded once an actor. Leave at least one CPU to the tasks that read, or the job waits for ever.

    Parameters
    ----------
    outputs : "cutout", "alpha", or both
    format : of their files, see `jointmat.io.write.encode_image`
    threads : images worked on at the same time, one core each; `num_cpus` of the actor should be as many
    options : of `jointmat.Predictor`
    """

    def __init__(
        self, outputs: Sequence[Output] = ("cutout",), *, format: str = "png", threads: int = 1, **options: Any
    ):
        import cv2

        if unknown := set(outputs) - set(get_args(Output)):
            raise InputError(f"outputs={sorted(unknown)}: expected {' or '.join(get_args(Output))}")
        check_extension(f"image.{format}", transparent="cutout" in outputs)
        self.outputs, self.format, self.threads = tuple(outputs), format, threads
        cv2.setNumThreads(1)
        self._predictor = Predictor(**{"threads": 1, **options})

    @property
    def fields(self) -> dict[str, pa.DataType]:
        """Columns of a row."""
        return {**dict.fromkeys(self.outputs, pa.binary()), "coverage": pa.float64(), "error": pa.string()}

    def __call__(self, batch: "Mapping[str, Sequence[Any]] | pa.Table") -> pa.Table:
        """Return the batch with the results in place of the images.

        Parameters
        ----------
        batch : with a column `bytes` of encoded images, which is dropped; or a column `path` of local files, or
            of addresses that pyarrow's file systems know, such as s3://bucket/key

        Returns
        -------
        the other columns as they were, and for each of `outputs` the bytes of an image file; `coverage`, the
        subject's share of the image; and `error`, one line for an image that cannot be used. The rest of its row,
        as the error of all others, is null.
        """
        if not isinstance(batch, pa.Table):
            batch = pa.table({name: list(column) for name, column in batch.items()})
        column = next((name for name in ("bytes", "path") if name in batch.column_names), None)
        if column is None:
            raise InputError(f"got columns {', '.join(batch.column_names)}; expected `bytes` or `path`")
        sources = (source.as_py() for source in batch[column])
        rows = list(in_order(self.row, sources, self.threads, lambda _: 0))
        if column == "bytes":
            batch = batch.drop_columns(["bytes"])
        for name, kind in self.fields.items():
            batch = batch.append_column(name, pa.array([row.get(name) for row in rows], kind))
        return batch

    def row(self, source: bytes | str) -> dict[str, Any]:
        """The results for one image, its bytes or its path, or its error."""
        try:
            matte = self._predictor.matte(_read(source) if isinstance(source, str) else source)
            arrays = {"cutout": matte.cutout, "alpha": lambda: to_uint8(matte.alpha)}
            made: dict[str, Any] = {name: encode_image(arrays[name](), self.format) for name in self.outputs}
            return {**made, "coverage": matte.coverage}
        except Exception as error:  # noqa: BLE001 (whatever it is, it belongs to this image alone)
            known = isinstance(error, JointmatError | OSError)
            text = str(error).removeprefix("<bytes>: ") if known else f"{type(error).__name__}: {error}"
            return {"error": " ".join(text.split())}


def _read(path: str) -> "str | bytes":
    """An input for `Predictor`: a local path, or the bytes at any other address."""
    if "://" not in path:
        return path
    filesystem, name = FileSystem.from_uri(path)
    with filesystem.open_input_stream(name) as stream:
        return stream.read()
