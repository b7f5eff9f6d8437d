"""What a lower precision costs and brings: all forms of a model on the same photos."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

import numpy as np
from tqdm import tqdm

from export.text import table
from jointmat import metrics
from jointmat.errors import WeightsError
from jointmat.evaluation.manifest import Item
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_image
from jointmat.predictor import Predictor
from jointmat.runtime.files import PRECISIONS, Precision, exported_file


@dataclass
class Form:
    """A model in one precision: its size, and what was measured photo by photo."""

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
        """Mean over the photos."""
        return mean(self.differences)


def precisions_of(model: str | Path) -> list[Precision]:
    """Those that there is a file of; fp32 is the first. WeightsError if there is none of that."""
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


def compare(model: str | Path, rows: Sequence[Item], threads: int | None = None) -> dict[str, Form]:
    """Every precision of a model on the same labelled photos, which they take in turns.

    Alphas are rounded to 8 bits first, as a file would hold them.
    """
    predictors = {p: Predictor(model, precision=p, threads=threads) for p in precisions_of(model)}
    forms: dict[str, Form] = {p: Form(exported_file(model, p).stat().st_size / 1e6) for p in predictors}
    for row in tqdm(rows, disable=None, unit="photo"):
        pixels, truth = load_image(row.image), row.alpha()
        plain = None
        for precision, predictor in predictors.items():
            start = time.perf_counter()
            alpha = predictor.predict(pixels)
            forms[precision].milliseconds.append((time.perf_counter() - start) * 1e3)
            plain = alpha if plain is None else plain
            forms[precision].differences.append(float(np.abs(alpha - plain).mean()))
            sad = metrics.sad(to_uint8(alpha) / 255, truth)
            forms[precision].sads.setdefault(row.source, []).append(sad)
    return forms


def precision_table(forms: dict[str, Form]) -> str:
    """Size, time and error of each form, and how the error changes from fp32."""
    plain = forms["fp32"].sad()
    photos = {source: len(values) for source, values in forms["fp32"].sads.items()}
    rows = [
        [
            "precision",
            "MB",
            "ms least / median",
            "mean abs Δalpha",
            *(f"SAD {s} ({n})" for s, n in photos.items()),
        ]
    ]
    for precision, form in forms.items():
        sads = [f"{sad:.2f} ({sad / plain[source] - 1:+.1%})" for source, sad in form.sad().items()]
        times = f"{min(form.milliseconds):.0f} / {median(form.milliseconds):.0f}"
        rows.append([precision, f"{form.megabytes:.1f}", times, f"{form.difference():.5f}", *sads])
    return table(rows)
