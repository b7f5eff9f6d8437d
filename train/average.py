"""Interpolate between the weights of two runs of one network.

The weights of a run and of the run fine-tuned from it share one valley of the loss, so that a point on the line
between them can be better than either end (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Size, Tensor

from jointmat.build import load_model
from jointmat.config import differences, to_mapping
from jointmat.errors import WeightsError
from jointmat.record import with_average
from jointmat.weights import read_training, save_weights, sha256


def average(first: Path, second: Path, output: Path, share: float) -> None:
    """Write (1 − share)·first + share·second, with the configuration of the second and the record of both.

    Parameters
    ----------
    first, second, output : .safetensors files
    share : of the second, in [0, 1]

    Raises
    ------
    WeightsError
        if a file cannot be read, or the two have different parameters.
    """
    ends = load_model(first), load_model(second)
    early, late = (end.state_dict() for end in ends)
    if _shapes(early) != _shapes(late):
        changed = differences(to_mapping(ends[0].config), to_mapping(ends[1].config))
        raise WeightsError(f"{first} and {second} hold different networks ({'; '.join(changed)})")
    mixed = {
        name: early[name].lerp(value, share) if value.is_floating_point() else value
        for name, value in late.items()
    }
    ends[1].load_state_dict(mixed)
    records = read_training(first), read_training(second)
    files = [{"weights": path.name, "sha256": sha256(path)} for path in (first, second)]
    save_weights(ends[1], output, with_average(records, files, share))


def _shapes(state: Mapping[str, Tensor]) -> dict[str, Size]:
    return {name: value.shape for name, value in state.items()}
