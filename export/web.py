"""A folder that transformers.js loads as a background-removal model, in browsers and in Node.

Its `background-removal` pipeline takes any model of type `modnet` whose only input is an image and whose first
output is an alpha in [0, 1]: it resizes the image as `preprocessor_config.json` says, runs `onnx/model.onnx`, and
resizes alpha back. Tried with @huggingface/transformers 4.3.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from export.precision import precisions_of
from export.single import image_to_alpha, write_compared
from jointmat.evaluation.records import write_record
from jointmat.preprocess import OVERVIEW
from jointmat.runtime.files import exported_file

_TOLERANCE = 1e-4
_FILES = {"fp32": "model.onnx", "fp16": "model_fp16.onnx", "int8": "model_quantized.onnx"}
"""By precision, the names that transformers.js looks for: dtype "fp32", "fp16" and "q8"."""

CONFIG: dict[str, Any] = {"model_type": "modnet", "architectures": ["MODNet"]}

PREPROCESSOR: dict[str, Any] = {
    "image_processor_type": "ImageProcessor",
    "do_resize": True,
    "size": {"longest_edge": OVERVIEW},
    "size_divisibility": 32,
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": False,
    "do_pad": False,
    "do_convert_rgb": True,
}


def export_web(model: str | Path, folder: Path) -> Iterator[str]:
    """Write config.json, preprocessor_config.json and onnx/, with a file for each precision that MODEL has.

    Yields what to print.

    model : name, or path of NAME.onnx; errors as of `precisions_of` and `write_compared`
    """
    for precision in precisions_of(model):
        source, path = exported_file(model, precision), folder / "onnx" / _FILES[precision]
        write_compared(image_to_alpha(source), path, source, _TOLERANCE, np.zeros(3), np.ones(3))
        yield f"{path}: {path.stat().st_size / 1e6:.1f} MB"
    for name, content in (("config.json", CONFIG), ("preprocessor_config.json", PREPROCESSOR)):
        write_record(folder / name, content)
        yield str(folder / name)
