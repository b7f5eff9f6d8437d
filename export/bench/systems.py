"""The systems to measure: the joint network, two-model pipelines, and peers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import cv2

from export.bench.macs import count
from export.precision import precisions_of
from jointmat.assets import PORTRAIT
from jointmat.evaluation.peers import PEERS, open_peer
from jointmat.io.image import load_image
from jointmat.predictor import Detail, Predictor
from jointmat.preprocess import plan, preprocess
from jointmat.runtime.files import Precision, exported_file

Work = Callable[[], Any]


@dataclass(frozen=True)
class Spec:
    """A system, as described to the process that runs it."""

    label: str
    kind: str
    """joint, two-model or peer"""
    model: str
    """name or path"""
    setting: str = ""
    """precision of joint, name of the peer"""
    detail: Detail = "fine"
    """how joint looks at an image"""

    def gmac(self, size: int) -> float:
        """Multiply-accumulates of one image of size×size, in 10⁹; NaN for files other than ONNX."""
        if self.kind == "joint":
            files = [exported_file(self.model, self.setting)]
        elif self.kind == "two-model":
            path = Path(self.model)
            files = [path.with_name(f"{path.stem}-{stage}.onnx") for stage in ("segmentation", "matting")]
        else:
            files = [Path(self.model)]
        if any(file.suffix != ".onnx" for file in files):
            return float("nan")
        return sum(count(file, size) for file in files) / 1e9


class System:
    """An opened system: its methods prepare work to be timed."""

    def __init__(self, spec: Spec, threads: int):
        self._predictor: Predictor | None = None
        if spec.kind == "joint":
            precision = cast(Precision, spec.setting)
            self._predictor = Predictor(spec.model, precision=precision, threads=threads, detail=spec.detail)
        elif spec.kind == "two-model":
            self._predictor = Predictor(spec.model, threads=threads)
        else:
            self._peer, self._side = open_peer(spec.setting, spec.model, threads), PEERS[spec.setting].side

    def network(self, size: int) -> Work:
        """The network alone on a portrait of size×size; peers have their own size.

        A real image matters: attention takes longer where more is unknown, and subnormal numbers are slow.
        """
        side = self._side if self._predictor is None else size
        image = cv2.resize(load_image(PORTRAIT), (side, side), interpolation=cv2.INTER_AREA)
        if self._predictor is None:
            pixels = self._peer.prepare(image)
            return lambda: self._peer.network(pixels)
        backend = self._predictor.backend
        tensor = preprocess(image, plan((size, size), size, backend.stride))
        return lambda: backend.run(tensor)

    def image(self, path: str) -> Work:
        """From a file to its alpha."""
        if self._predictor is None:
            return lambda: self._peer(load_image(path))
        predictor = self._predictor
        return lambda: predictor.predict(path)


def joint_systems(model: str) -> list[Spec]:
    """One for every precision that the model has a file for, looking once and twice."""
    return [
        Spec(f"{Path(model).stem} {precision} {detail}", "joint", model, precision, detail)
        for precision in precisions_of(model)
        for detail in get_args(Detail)
    ]


def random_pipeline(architecture: str, folder: Path) -> Spec:
    """Two networks with random weights, which cost what trained ones do."""
    import torch

    from export.baseline import export_stages
    from jointmat.baseline.networks import TwoNetworks
    from jointmat.build import build
    from jointmat.config import MODELS

    torch.manual_seed(0)
    network = build(MODELS[architecture]).eval()
    assert isinstance(network, TwoNetworks)
    path = folder / f"{architecture}.onnx"
    export_stages(network, path)
    return Spec(f"{architecture} (random weights)", "two-model", str(path))
