"""How far an arm is from another one, photo by photo."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Difference(NamedTuple):
    """Of two arms, in the units of what was compared."""

    mean: float
    error: float | None
    """Its standard error over photos; None of a single photo."""


def paired_difference(
    runs: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]], metric: str
) -> Difference | None:
    """`metric` minus that of the reference with the same seed on the same photo; None where there is no pair.

    The seeds of a photo are averaged first, then the photos: the error tells how sure the difference is on other
    photos, not with other seeds.

    Parameters
    ----------
    runs, reference : results of two arms, see `train.ablation.arms.run_arms`
    """
    others = {run["seed"]: run["photos"] for run in reference}
    by_photo = defaultdict(list)
    for run in runs:
        other = others.get(run["seed"], {})
        for name, photo in run["photos"].items():
            if metric in photo and metric in other.get(name, {}):
                by_photo[name].append(photo[metric] - other[name][metric])
    if not by_photo:
        return None
    values = [np.mean(seeds) for seeds in by_photo.values()]
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return Difference(float(np.mean(values)), error)
