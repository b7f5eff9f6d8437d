import pytest
from click.testing import CliRunner

pytest.importorskip("av")
pytest.importorskip("onnx")

from jointmat.video.convert import STAGES
from tests.fakes import brightness_model
from tests.video.clips import write
from train.studies.video import command, study


def test_every_film_background_and_precision_has_a_row(tmp_path):
    model = brightness_model(tmp_path / "brightness.onnx")
    films = [write(tmp_path / name) for name in ("a.mp4", "b.mkv")]
    rows = list(study(films, ["blur", "#00ff00"], ["fp32"], str(model), 320))
    assert [row[:3] for row in rows] == [
        (film, background, "fp32") for film in ("a", "b") for background in ("blur", "#00ff00")
    ]
    assert all(row.report.frames == 10 and all(row.report.busy[stage] > 0 for stage in STAGES) for row in rows)


def test_the_command_prints_a_table(tmp_path):
    model = brightness_model(tmp_path / "brightness.onnx")
    arguments = [write(tmp_path / "a.mp4"), "--background", "blur", "--precision", "fp32", "--model", model]
    done = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    header, rule, row, *_, machine = done.stdout.splitlines()
    assert all(stage in header for stage in STAGES) and set(rule) <= set("|:-")
    assert [cell.strip() for cell in row.split("|")[1:4]] == ["a", "blur", "fp32"]
    assert row.count("|") == header.count("|") and "cores" in machine


def test_films_are_made_where_none_are_given(tmp_path):
    model = brightness_model(tmp_path / "brightness.onnx")
    arguments = ["--frames", "2", "--background", "image", "--precision", "fp32", "--model", str(model)]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert "| close-up " in done.stdout and "| half-length " in done.stdout
