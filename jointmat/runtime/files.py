"""Which exported file a backend opens."""

from pathlib import Path
from typing import Literal, TypeAlias, get_args

from jointmat.errors import InputError, WeightsError
from jointmat.weights import find_weights

Precision: TypeAlias = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def check_precision(precision: str) -> None:
    """InputError for an unknown precision."""
    if precision not in PRECISIONS:
        raise InputError(f"precision={precision!r}: expected one of {', '.join(PRECISIONS)}")


def exported_file(model: str | Path, precision: str = "fp32") -> Path:
    """The .onnx file of a model: NAME.onnx, or beside it NAME-fp16.onnx and NAME-int8.onnx.

    Parameters
    ----------
    model : a name, or the path of NAME.onnx

    Raises
    ------
    InputError
        for an unknown precision.
    WeightsError
        if there is no such file, or its sha256 is not the one of its card.
    """
    check_precision(precision)
    ending = "" if precision == "fp32" else f"-{precision}"
    path = Path(model)
    beside = path.with_name(f"{path.stem}{ending}{path.suffix}") if path.suffix else model
    try:
        return find_weights(beside, f"{ending}.onnx")
    except WeightsError as error:
        if precision == "fp32":
            raise
        raise WeightsError(f"precision={precision!r}: {error} (python -m export quantize makes it)") from error
