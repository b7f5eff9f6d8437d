"""What a machine is, and the most that it can multiply."""

import os
import platform
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from jointmat.runtime.onnx import session_options

_KNOWN = {
    "avx2": "AVX2",
    "avx512f": "AVX512",
    "avx_vnni": "VNNI",
    "avx512_vnni": "VNNI",
    "amx_int8": "AMX",
    "asimd": "NEON",
    "asimddp": "dot products",
    "i8mm": "I8MM",
}
"""Flags of x86 and ARM in /proc/cpuinfo."""
_BYTE_PRODUCTS = {"VNNI", "AMX", "dot products", "I8MM"}
_SIDE = 1024
_RUNS = 30


def describe() -> str:
    """One line: processor, cores, what it has for fast products, versions."""
    model, flags = platform.processor() or platform.machine(), set[str]()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line.partition(":") for line in cpuinfo.read_text().splitlines()]
        fields = {key.strip(): value.strip() for key, _, value in reversed(lines)}
        model = fields.get("model name", model)
        flags = set(fields.get("flags", fields.get("Features", "")).split())
    has = list(dict.fromkeys(name for flag, name in _KNOWN.items() if flag in flags))
    slow = bool(has) and not _BYTE_PRODUCTS.intersection(has)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{model}, {os.cpu_count()} cores, {' '.join(has) or 'no known extensions'}"
        f"{' (no byte products: INT8 is not expected to be faster)' if slow else ''}"
        f"; ONNX Runtime {ort.__version__}, Python {platform.python_version()}{load}"
    )


def peak(threads: int) -> float:
    """The best of many float32 matrix products by ONNX Runtime, GMAC/s: a network's limit on this machine."""
    shapes = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [_SIDE, _SIDE]) for name in "abc"}
    product = helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = helper.make_graph([product], "product", [shapes["a"], shapes["b"]], [shapes["c"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = ort.InferenceSession(
        model.SerializeToString(), session_options(threads), providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    feed = {name: rng.random((_SIDE, _SIDE), np.float32) for name in "ab"}
    best = float("inf")
    for _ in range(_RUNS):
        start = time.perf_counter()
        session.run(None, feed)
        best = min(best, time.perf_counter() - start)
    return _SIDE**3 / best / 1e9
