"""The log of a run."""

import json
import sys

import pytest

from jointmat.errors import DependencyError
from train.journal import Journal


def test_every_entry_is_a_line_that_is_in_the_file_at_once_and_after_those_of_before(tmp_path):
    for run in (1, 2):
        journal = Journal(tmp_path)
        journal.write(run, {"loss": run / 4})
        lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
        assert [(line["step"], line["loss"]) for line in lines] == [(n, n / 4) for n in range(1, run + 1)]
        journal.close()


def test_tensorboard_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(DependencyError, match="pip install tensorboard"):
        Journal(tmp_path, tensorboard=True)
