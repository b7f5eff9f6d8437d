from jointmat.evaluation.records import read_record, write_record


def test_a_record_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "lite.json"
    assert read_record(path) == {}
    content = {"name": "lite", "licence": "Straße", "sha256": {}}
    write_record(path, content)
    assert read_record(path) == content and "Straße" in path.read_text(encoding="utf-8")
