"""From trained weights to a model that ships: weights, ONNX files and the card that vouches for them."""

import json
import shutil
from pathlib import Path
from typing import Any

import jointmat
from export.onnx import export_onnx
from jointmat.config import to_mapping
from jointmat.io.atomic import atomic_write
from jointmat.models.joint import JointMatting
from jointmat.weights import read_training, sha256

CODE_LICENCE = "Apache-2.0"


def publish(weights: Path, name: str, folder: Path) -> Path:
    """Write NAME.safetensors, NAME.onnx, NAME-trimap.onnx and the card NAME.json into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = folder / f"{name}.safetensors"
    if stored.resolve() != weights.resolve():
        shutil.copyfile(weights, stored)
    model = JointMatting.from_pretrained(stored)
    files = [stored]
    for suffix, trimap in ((".onnx", False), ("-trimap.onnx", True)):
        path = folder / f"{name}{suffix}"
        export_onnx(model, path, trimap=trimap, source=stored)
        files.append(path)
    card: dict[str, Any] = {
        "name": name,
        "version": jointmat.__version__,
        "model": to_mapping(model.config),
        "sha256": {path.name: sha256(path) for path in files},
        "licence": {
            "code": CODE_LICENCE,
            "weights": "No rights are granted beyond those of the training sources listed below. Several of them "
            "are for non-commercial research or state no licence: do not use these weights in a product; train "
            "your own on data that you hold the rights to.",
        },
        "training": read_training(stored),
    }
    path = folder / f"{name}.json"
    with atomic_write(path) as file:
        file.write((json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode())
    return path
