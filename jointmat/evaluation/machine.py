"""The machine of a measurement."""

import os
import platform
from pathlib import Path

# The names of what matters to a network's speed, by the flags of /proc/cpuinfo on x86 and on ARM.
_EXTENSIONS = {
    **{"avx2": "AVX2", "avx512f": "AVX-512", "avx_vnni": "AVX-VNNI", "avx512_vnni": "AVX-512 VNNI"},
    **{"amx_int8": "AMX-INT8", "asimddp": "dot product", "i8mm": "I8MM"},
}
_BYTE_PRODUCTS = {"AVX-VNNI", "AVX-512 VNNI", "AMX-INT8", "dot product", "I8MM"}


def processor() -> str:
    """The processor's name, as far as the system reports it."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def describe() -> str:
    """Processor, cores, vector extensions, versions and load, in one line."""
    import onnxruntime as ort

    fields = _cpuinfo()
    flags = fields.get("flags", fields.get("Features", "")).split()
    has = [name for flag, name in _EXTENSIONS.items() if flag in flags]
    slow = bool(has) and not _BYTE_PRODUCTS.intersection(has)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{processor()}, {os.cpu_count()} cores, {' '.join(has) or 'no known extensions'}"
        f"{' (no INT8 dot products: INT8 will not be faster)' if slow else ''}"
        f"; ONNX Runtime {ort.__version__}, Python {platform.python_version()}{load}"
    )


def _cpuinfo() -> dict[str, str]:
    """Fields of the first core in /proc/cpuinfo; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
