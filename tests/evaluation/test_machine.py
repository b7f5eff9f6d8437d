from pathlib import Path

from jointmat.evaluation import machine
from jointmat.evaluation.machine import describe, processor

CPUINFO = """processor : 0
model name : Some CPU
flags : fpu avx2 {}

processor : 1
model name : Another
flags : fpu
"""


def test_the_first_core_is_described(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: CPUINFO.format("avx512_vnni"))
    assert processor() == "Some CPU"
    line = describe()
    assert line.startswith("Some CPU, ") and "AVX2 AVX-512 VNNI" in line and "ONNX Runtime" in line
    assert "INT8 will not" not in line
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: CPUINFO.format(""))
    assert "INT8 will not be faster" in describe()


def test_a_system_without_cpuinfo(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(machine.platform, "processor", lambda: "arm")
    assert processor() == "arm" and "no known extensions" in describe()
