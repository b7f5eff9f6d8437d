import hashlib

from jointmat.evaluation.card import read_card, sums, write_card


def test_a_card_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "lite.json"
    assert read_card(path) == {}
    content = {"name": "lite", "licence": "Straße", "sha256": {}}
    write_card(path, content)
    assert read_card(path) == content and "Straße" in path.read_text(encoding="utf-8")


def test_sums_of_files(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"abc")
    assert sums([tmp_path / "a.onnx"]) == {"a.onnx": hashlib.sha256(b"abc").hexdigest()}
