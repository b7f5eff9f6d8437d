"""What is measured: the joint network, the pipelines of two, and peers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2

from export.bench.macs import count
from export.precision import precisions_of
from jointmat.assets import PORTRAIT
from jointmat.evaluation.peers import PEERS, open_peer
from jointmat.io.image import load_image
from jointmat.predictor import Predictor
from jointmat.preprocess import plan, preprocess
from jointmat.runtime.files import Precision, exported_file

Work = Callable[[], Any]


@dataclass(frozen=True)
class Spec:
    """A system, as it is told to the process that runs it."""

    label: str
    kind: str
    """joint, two-model or peer"""
    model: str
    """name or path"""
    setting: str = ""
    """precision of joint, name of the peer"""

    def gmac(self, size: int) -> float:
        """Multiply-accumulates of one picture of size×size, in 10⁹; not known of other formats than ONNX."""
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
    """A spec, opened."""

    def __init__(self, spec: Spec, threads: int):
        self._predictor: Predictor | None = None
        if spec.kind == "joint":
            self._predictor = Predictor(spec.model, precision=cast(Precision, spec.setting), threads=threads)
        elif spec.kind == "two-model":
            self._predictor = Predictor(spec.model, threads=threads)
        else:
            self._peer, self._side = open_peer(spec.setting, spec.model, threads), PEERS[spec.setting].side

    def network(self, size: int) -> Work:
        """The network alone on a portrait of size×size; peers have a size of their own.

        What is in the picture counts: it decides how much there is to compare in the attention, and numbers next
        to 0 may be slow.
        """
        side = self._side if self._predictor is None else size
        picture = cv2.resize(load_image(PORTRAIT), (side, side), interpolation=cv2.INTER_AREA)
        if self._predictor is None:
            pixels = self._peer.prepare(picture)
            return lambda: self._peer.network(pixels)
        backend = self._predictor.backend
        image = preprocess(picture, plan((size, size), size, backend.stride))
        return lambda: backend.run(image)

    def photo(self, path: str) -> Work:
        """From a file to alpha at its size."""
        if self._predictor is None:
            return lambda: self._peer(load_image(path))
        predictor = self._predictor
        return lambda: predictor.predict(path)


def joint_systems(model: str) -> list[Spec]:
    """One for every precision that there is a file of."""
    return [Spec(f"{Path(model).stem} {p}", "joint", model, p) for p in precisions_of(model)]


def random_pipeline(architecture: str, folder: Path) -> Spec:
    """A pipeline of two networks with random weights, which is all that its cost needs."""
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
