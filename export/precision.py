"""Size, time and error of a model in every precision, on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean

import numpy as np
from tqdm import tqdm

from jointmat import metrics
from jointmat.errors import WeightsError
from jointmat.evaluation.manifest import Item
from jointmat.evaluation.table import number, table
from jointmat.evaluation.timing import least_and_median, timed
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_image
from jointmat.predictor import Predictor
from jointmat.runtime.files import PRECISIONS, Precision, exported_file


@dataclass
class Form:
    """A model in one precision: its size, and the errors image by image."""

    megabytes: float
    milliseconds: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    """mean |Δalpha| to fp32"""
    sads: dict[str, list[float]] = field(default_factory=dict)
    """by source; of the whole image, in thousands"""

    def sad(self) -> dict[str, float]:
        """Mean of each source."""
        return {source: round(mean(values), 5) for source, values in self.sads.items()}

    def difference(self) -> float:
        """Mean over the images."""
        return mean(self.differences)


def precisions_of(model: str | Path) -> list[Precision]:
    """Precisions that the model has a file for, fp32 first; WeightsError without an fp32 file."""
    found: list[Precision] = []
    for precision in PRECISIONS:
        try:
            exported_file(model, precision)
        except WeightsError:
            if precision == "fp32":
                raise
        else:
            found.append(precision)
    return found


def compare(model: str | Path, items: Sequence[Item], threads: int | None = None) -> dict[str, Form]:
    """Every precision of a model on the same labelled images, in turns.

    Alphas are rounded to 8 bits before scoring, as a file would hold them.
    """
    predictors = {p: Predictor(model, precision=p, threads=threads) for p in precisions_of(model)}
    forms: dict[str, Form] = {p: Form(exported_file(model, p).stat().st_size / 1e6) for p in predictors}
    for item in tqdm(items, disable=None, unit="image"):
        pixels, truth = load_image(item.image), item.alpha()
        plain = None
        for precision, predictor in predictors.items():
            alpha, milliseconds = timed(partial(predictor.predict, pixels))
            forms[precision].milliseconds.append(milliseconds)
            plain = alpha if plain is None else plain
            forms[precision].differences.append(float(np.abs(alpha - plain).mean()))
            sad = metrics.sad(to_uint8(alpha) / 255, truth)
            forms[precision].sads.setdefault(item.source, []).append(sad)
    return forms


def precision_table(forms: dict[str, Form]) -> str:
    """Size, time and error in each precision, and the change of the error from fp32."""
    plain = forms["fp32"].sad()
    sources = [f"SAD {source} ({len(values)})" for source, values in forms["fp32"].sads.items()]
    rows = [["precision", "MB", "ms least / median", "mean abs Δalpha", *sources]]
    for precision, form in forms.items():
        sads = [f"{sad:.2f} ({sad / plain[source] - 1:+.1%})" for source, sad in form.sad().items()]
        size, difference = number(form.megabytes, 1), number(form.difference(), 5)
        rows.append([precision, size, least_and_median(form.milliseconds), difference, *sads])
    return table(rows, "pipe")
