"""The classic pipeline by its name; it is a `Predictor` like any other."""

from pathlib import Path
from typing import Any

from jointmat.errors import WeightsError
from jointmat.predictor import Predictor
from jointmat.runtime.open import open_backend
from jointmat.runtime.two_model import TwoModelBackend


class TwoModelPipeline(Predictor):
    """Segmentation network → hard trimap → matting network → alpha.

    `Predictor` opens the same from the model's file; here the trimap may be another than the model's own.

    Parameters
    ----------
    model : a .safetensors file of two models, or the name NAME.onnx of a pair NAME-segmentation.onnx and
        NAME-matting.onnx
    kernel, iterations : see `jointmat.ops.morphology.hard_trimap`; None for those of the model
    device, threads, settings : see `jointmat.Predictor`, errors too
    """

    def __init__(
        self,
        model: str | Path = "two-model",
        *,
        kernel: int | None = None,
        iterations: int | None = None,
        device: str = "auto",
        threads: int | None = None,
        **settings: Any,
    ):
        opening = {"device": device, "threads": threads, "kernel": kernel, "iterations": iterations}
        backend = open_backend(model, **opening)  # type: ignore[arg-type]
        if not isinstance(backend, TwoModelBackend):
            raise WeightsError(f"{model}: holds one network; use jointmat.Predictor for it")
        super().__init__(backend, **settings)
        self._settings = {"model": model, **opening, **settings}
