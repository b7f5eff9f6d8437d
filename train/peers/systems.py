"""The systems to compare: functions of an image, and perhaps a trimap, to alpha."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from jointmat.errors import InputError
from jointmat.evaluation.peers import PEERS, open_peer

System = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""image (H, W, 3) uint8, trimap (H, W) uint8 of 0, 128, 255 or None → alpha (H, W) float32 in [0, 1]"""


def open_models(models: tuple[str, ...], max_side: int | None, threads: int) -> dict[str, System]:
    """jointmat models by their names."""
    names = [_name(model) for model in models]
    if len(set(names)) < len(names):
        raise InputError(f"--model: {', '.join(models)} have the same name; rename a file")
    return {name: _model(model, max_side, threads) for name, model in zip(names, models, strict=True)}


def open_peers(peers: tuple[str, ...], threads: int) -> dict[str, System]:
    """Peers from texts NAME=FILE."""
    return dict(_peer(text, threads) for text in peers)


def closed_form(image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    """Closed-form matting (Levin, Lischinski & Weiss, PAMI 2008)."""
    from pymatting import estimate_alpha_cf

    return _solve(estimate_alpha_cf, image, trimap)


def knn(image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    """KNN matting (Chen, Li & Tang, PAMI 2013)."""
    from pymatting import estimate_alpha_knn

    return _solve(estimate_alpha_knn, image, trimap)


CLASSIC = {"closed-form": closed_form, "knn": knn}
"""Matting without a network; needs a trimap."""


def _solve(method: Callable, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    if trimap is None:
        raise InputError(f"{method.__name__} needs a trimap")
    try:
        return method(image / 255, np.select([trimap == 0, trimap == 255], [0.0, 1.0], 0.5)).astype(np.float32)
    except ValueError as error:
        raise InputError(f"{method.__name__}: cannot use a trimap ({error})") from error


def _name(model: str) -> str:
    return Path(model).stem if Path(model).suffix else model


def _model(model: str, max_side: int | None, threads: int) -> System:
    from jointmat.predictor import Predictor

    predictor = Predictor(model, max_side=max_side, threads=threads)
    return lambda image, trimap: predictor.predict(image, trimap=trimap)


def _peer(text: str, threads: int) -> tuple[str, System]:
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise InputError(f"--peer {text}: expected NAME=FILE with a name of {', '.join(PEERS)}")
    matting = open_peer(name, path, threads)
    return name, lambda image, _: matting(image)
