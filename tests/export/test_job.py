"""What a whole job costs. No time is asserted."""

import csv

import pytest
from click.testing import CliRunner
from PIL import Image

from export.__main__ import cli
from export.bench import job
from jointmat.assets import PORTRAIT
from jointmat.errors import JointmatError


@pytest.fixture
def run(monkeypatch, tmp_path):
    """The command, with one that copies in the place of ours."""
    monkeypatch.setattr(job, "OURS", {"copy": "cp -r {images} {out}"})

    def run(*arguments):
        command = ["job", "--cores", "1", "--rounds", "1", "-o", str(tmp_path / "out"), *arguments]
        return CliRunner().invoke(cli, command)

    return run


def rows(folder):
    with (folder / "table.csv").open() as file:
        return list(csv.DictReader(file))


def test_table_and_plot_of_several_calls(run, tmp_path):
    result = run("--photos", "3x0.01", "--other", "none=true")
    assert result.exit_code == 0, result.output
    assert [(row["command"], row["folder"]) for row in rows(tmp_path / "out")] == [
        ("copy", "3 x 0.01 MP"),
        ("none", "3 x 0.01 MP"),
    ]
    copied, nothing = rows(tmp_path / "out")
    assert float(nothing["out_mb"]) == 0 < float(copied["out_mb"]) < 0.1
    assert float(copied["peak_mb"]) > 0 and float(copied["images_per_second"]) > 0
    assert run("--photos", "1x0.01", "--photos", "3x0.01").exit_code == 0
    assert [(row["command"], row["folder"]) for row in rows(tmp_path / "out")] == [
        ("copy", "1 x 0.01 MP"),
        ("none", "3 x 0.01 MP"),
        ("copy", "3 x 0.01 MP"),
    ]
    assert "| none" in (tmp_path / "out" / "table.md").read_text()
    assert Image.open(tmp_path / "out" / "plot.png").width > 100


def test_photos_have_the_size_and_are_not_alike(tmp_path):
    job.write_photos(tmp_path / "photos", job.Folder(0.03, 2), job.sources(None))
    first, second = (Image.open(path) for path in sorted((tmp_path / "photos").iterdir()))
    assert first.size == second.size == (150, 200) and first.tobytes() != second.tobytes()
    assert job.sources(PORTRAIT.parent)


def test_a_command_that_fails_is_one_line(run):
    result = run("--photos", "1x0.01", "--other", "bad=sh -c 'echo no model; exit 3'")
    assert isinstance(result.exception, JointmatError)
    assert str(result.exception) == "bad: exited with 3: no model"
    assert run("--photos", "12").exit_code == 2
