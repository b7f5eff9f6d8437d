"""Which file a precision means."""

import pytest

from jointmat.errors import InputError, WeightsError
from jointmat.runtime.files import PRECISIONS, exported_file


def test_the_precisions_of_a_file_are_beside_it(tmp_path):
    for name in ("a.onnx", "a-fp16.onnx", "a-int8.onnx"):
        (tmp_path / name).touch()
    found = [exported_file(tmp_path / "a.onnx", precision).name for precision in PRECISIONS]
    assert found == ["a.onnx", "a-fp16.onnx", "a-int8.onnx"]


def test_a_precision_that_was_not_exported_says_what_makes_it(tmp_path):
    (tmp_path / "a.onnx").touch()
    with pytest.raises(WeightsError, match=r"precision='fp16': .*a-fp16\.onnx.*python -m export quantize"):
        exported_file(tmp_path / "a.onnx", "fp16")
    with pytest.raises(WeightsError) as caught:
        exported_file(tmp_path / "b.onnx")
    assert "quantize" not in str(caught.value)


def test_a_precision_that_there_is_not():
    with pytest.raises(InputError, match="precision='int4': expected one of fp32, fp16, int8"):
        exported_file("lite", "int4")
