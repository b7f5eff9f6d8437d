import logging

import numpy as np
import pytest
import torch

from jointmat.errors import TrainingError
from train import checkpoint


def test_newest_comes_back_and_older_ones_go(tmp_path):
    for step in (5, 10, 15):
        checkpoint.save(tmp_path, step, {"step": step, "x": torch.ones(3)})
    assert checkpoint.load_newest(tmp_path)["step"] == 15
    assert len(list(tmp_path.glob("*.pt"))) == checkpoint.KEEP


def test_nothing_there_is_not_an_error(tmp_path):
    assert checkpoint.load_newest(tmp_path) is None


def test_a_damaged_newest_file_falls_back_with_a_warning(tmp_path, caplog):
    checkpoint.save(tmp_path, 5, {"step": 5})
    path = checkpoint.save(tmp_path, 10, {"step": 10})
    path.write_bytes(path.read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        assert checkpoint.load_newest(tmp_path)["step"] == 5
    assert "damaged" in caplog.text and path.name in caplog.text


def test_a_damaged_file_is_not_kept_in_place_of_a_good_one(tmp_path):
    checkpoint.save(tmp_path, 5, {"step": 5})
    checkpoint.save(tmp_path, 10, {"step": 10}).write_bytes(b"")
    checkpoint.save(tmp_path, 6, {"step": 6})  # gone on from 5
    assert [path.name for path in sorted(tmp_path.glob("*.pt"))] == ["step-00000005.pt", "step-00000006.pt"]


@pytest.mark.parametrize("seed", range(5))
def test_bytes_of_any_kind_are_passed_over(tmp_path, seed):
    checkpoint.save(tmp_path, 5, {"step": 5})
    checkpoint.save(tmp_path, 10, {"step": 10}).write_bytes(np.random.default_rng(seed).bytes(5000))
    assert checkpoint.load_newest(tmp_path)["step"] == 5


def test_all_damaged_does_not_silently_start_anew(tmp_path):
    checkpoint.save(tmp_path, 5, {"step": 5}).write_bytes(b"")
    with pytest.raises(TrainingError, match="none of its 1 checkpoints"):
        checkpoint.load_newest(tmp_path)


def test_a_kill_while_writing_leaves_the_earlier_one(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 5, {"step": 5})

    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("jointmat.io.atomic.os.fsync", dies)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, 10, {"step": 10})
    monkeypatch.undo()
    assert checkpoint.load_newest(tmp_path)["step"] == 5
    (tmp_path / ".jointmat-0.tmp").write_bytes(b"")  # what a kill that nothing can catch leaves
    checkpoint.save(tmp_path, 15, {"step": 15})
    assert not list(tmp_path.glob("*.tmp"))


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, {"step": 1})

    def full(state, file):
        file.write(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:603] . unexpected pos\nframe #0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(
        TrainingError, match=r"step-00000002\.pt: cannot be written \(\[enforce fail [^\n]*pos\)$"
    ):
        checkpoint.save(tmp_path, 2, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.pt"]
    assert checkpoint.exists(tmp_path) and not checkpoint.exists(tmp_path / "other")
