"""What the commands for large photos print."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from export.__main__ import cli
from export.bench.run import Measurement, curve
from export.bench.systems import Spec
from export.resolution import MEGAPIXELS, image_sizes, upsampling_table
from jointmat.evaluation.manifest import read_labelled
from jointmat.predictor import Predictor
from tests.export.test_calibration import write
from tests.fakes import brightness_model


@pytest.fixture
def model(tmp_path):
    return brightness_model(tmp_path / "brightness.onnx")


@pytest.fixture
def data(tmp_path):
    """A photo whose brightness is its alpha, with edges that a small copy blurs."""
    alpha = np.zeros((192, 256), np.uint8)
    cv2.circle(alpha, (120, 90), 61, 255, -1)
    cv2.imwrite(str(tmp_path / "photo.png"), np.dstack([alpha] * 3))
    cv2.imwrite(str(tmp_path / "alpha.png"), alpha)
    return write(tmp_path, "p,val,drawn,CC0,alpha,photo.png,alpha.png,")


def cells(text):
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines()]


def test_the_error_of_both_ways_up(model, data):
    head, _, *rows = cells(upsampling_table(Predictor(model), read_labelled(data, "val"), (256, 64)))
    assert head == ["images", "working size", "matte from", "bilinear", "guided", "change"]
    found = {(side, matte): (float(bilinear), float(guided)) for _, side, matte, bilinear, guided, _ in rows}
    assert {row[0] for row in rows} == {"1 drawn"}
    assert set(found) == {(side, matte) for side in ("256", "64") for matte in ("network", "true alpha")}
    assert found["256", "true alpha"][0] == 0, "nothing was reduced"
    for matte in ("network", "true alpha"):  # which are the same for this network
        bilinear, guided = found["64", matte]
        assert 0 < guided < 0.5 * bilinear
    change = {(row[1], row[2]): row[5] for row in rows}
    bilinear, guided = found["64", "network"]
    assert float(change["64", "network"].rstrip("%")) == pytest.approx(100 * (guided / bilinear - 1), abs=0.5)
    assert change["256", "true alpha"] == "–"


def test_the_sizes_are_what_they_are_called():
    sizes = image_sizes()
    assert len(sizes) == len(MEGAPIXELS) and (MEGAPIXELS[0], MEGAPIXELS[-1]) == (0.25, 24)
    for name, (height, width) in sizes.items():
        assert height * width == pytest.approx(float(name.removesuffix(" MP")) * 1e6, rel=0.01)


def test_the_curve():
    spec, tasks = Spec("lite", "joint", "lite"), {"image 1 MP": ("image", "1"), "image 2 MP": ("image", "2")}
    results = {
        ("lite", ("image", "1")): Measurement([40.2, 30.1, 35.0], 200.4),
        ("lite", ("image", "2")): Measurement([50.0], 300.0),
    }
    assert cells(curve(spec, tasks, results))[2:] == [["1 MP", "30 / 35", "200"], ["2 MP", "50 / 50", "300"]]


def test_the_command(model, data, monkeypatch):
    monkeypatch.setattr("export.resolution.MEGAPIXELS", (0.01, 0.02))
    arguments = ["resolution", str(model), "--data", str(data), "--side", "64", "--rounds", "1", "--threads", "1"]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    lines = cells(result.output)
    assert [line[0] for line in lines if line[0].endswith("MP")] == ["0.01 MP", "0.02 MP"]
    assert [line[2] for line in lines if line[0] == "1 drawn"] == ["network", "true alpha"]
