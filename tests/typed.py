"""What a type checker must say of natural mistakes; `mypy` reads this file, nothing runs it.

An `ignore` that is not needed is an error, so that every line with one is refused.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

import jointmat

alpha: np.ndarray = jointmat.predict("a.jpg", color="bgr", subject=(3, 4), max_side=512)
alphas: list[np.ndarray] = jointmat.predict(Path().glob("*.jpg"))
more: list[np.ndarray] = jointmat.predict(["a.jpg", Path("b.jpg")])
image: Image.Image = jointmat.cutout(Path("a.jpg"), method="ml")
jointmat.predict("a.jpg", color="BRG")  # type: ignore[call-overload]
jointmat.predict("a.jpg", subject="bigest")  # type: ignore[call-overload]
jointmat.predict("a.jpg", colour="RGB")  # type: ignore[call-overload]
jointmat.cutout("a.jpg", method="best")  # type: ignore[arg-type]

jointmat.cutout("a.jpg", color="BRG")  # type: ignore[arg-type]

predictor = jointmat.Predictor("lite", device="cuda:0", precision="int8")
jointmat.Predictor(backend="onxx")  # type: ignore[arg-type]
jointmat.Predictor(precision="fp8")  # type: ignore[arg-type]
mattes: Iterator[jointmat.Matte | Exception] = predictor.mattes(["a.jpg"], color="RGB")
matte = predictor.matte("a.jpg", trimap="b.png")
predictor.matte("a.jpg", color="BRG")  # type: ignore[arg-type]
alpha = predictor("a.jpg", color="BGR")
predictor("a.jpg", color="BRG")  # type: ignore[arg-type]
predictor.predict_batch(["a.jpg"], color="BRG")  # type: ignore[arg-type]
predictor.mattes(["a.jpg"], color="BRG")  # type: ignore[arg-type]
with jointmat.Predictor() as predictor:
    dpi: tuple[float, float] | None = predictor.matte("a.jpg").dpi

matte.save(BytesIO(), format="png")
matte.composite("white", light="linear")
matte.composite((1, 2, 3), fit="fit")
matte.composite("a.jpg", color="BRG")  # type: ignore[arg-type]
matte.composite("white", light="lin")  # type: ignore[arg-type]
matte.foreground("best")  # type: ignore[arg-type]
empty: bool = matte.crop(margin=10).adjust_edge(shift=-1, feather=2.5).is_empty
