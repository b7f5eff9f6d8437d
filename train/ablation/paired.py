"""The difference between two arms, image by image."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Difference(NamedTuple):
    """Difference of two arms, in the units of the metric."""

    mean: float
    error: float | None
    """Its standard error over images; None for a single image."""


def paired_difference(
    runs: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]], metric: str
) -> Difference | None:
    """`metric` minus that of the reference with the same seed on the same image; None where there is no pair.

    Seeds are averaged first, then images: the error estimates the difference on other images, not with other
    seeds.

    Parameters
    ----------
    runs, reference : results of two arms, see `train.ablation.arms.run_arms`
    """
    others = {run["seed"]: run["images"] for run in reference}
    by_image = defaultdict(list)
    for run in runs:
        other = others.get(run["seed"], {})
        for name, image in run["images"].items():
            if metric in image and metric in other.get(name, {}):
                by_image[name].append(image[metric] - other[name][metric])
    if not by_image:
        return None
    values = [np.mean(seeds) for seeds in by_image.values()]
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return Difference(float(np.mean(values)), error)
