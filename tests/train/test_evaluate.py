"""The command, and what it writes."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from jointmat.evaluation.manifest import Item, Kind, read_labelled
from jointmat.evaluation.records import read_record
from tests.fakes import brightness_model
from train import evaluate as evaluation
from train.evaluate import draw_worst, note_in_card, summary
from train.scores import Prediction, evaluate, score_rows


@pytest.mark.parametrize("give", [False, True])
def test_the_mattes_that_are_drawn_are_those_that_were_scored(tmp_path, give):
    Image.new("RGB", (32, 24)).save(tmp_path / "photo.png")
    Image.new("L", (32, 24), 255).save(tmp_path / "label.png")
    Image.new("L", (32, 24), 128).save(tmp_path / "trimap.png")
    item = Item(Kind.ALPHA, "own", "a", tmp_path / "photo.png", label=tmp_path / "label.png")
    item = Item(**vars(item) | {"trimap": tmp_path / "trimap.png"})
    asked = []

    def predict(_, trimap):
        asked.append(None if trimap is None else int(trimap.max()))
        return Prediction(np.zeros((24, 32), np.float32))

    scores = evaluate([item], predict, give_trimaps=give)
    draw_worst(tmp_path / "worst.jpg", scores, predict, give_trimaps=give)
    assert asked == [128 if give else None] * 2
    assert (tmp_path / "worst.jpg").stat().st_size > 0


def test_means_and_every_image(material, tmp_path):
    scores = evaluate(read_labelled(material, "val", most=2), lambda item, _: Prediction(item.alpha()))
    head, row = summary(scores, ["iou", "sad_unknown"])
    assert (head, row) == (["source", "images", "iou", "sad_unknown"], ["mattes", "2", "1.0000", "–"])
    head, first, _ = score_rows(scores)
    assert dict(zip(head, first, strict=True))["iou"] == 1 and first[:2] == ["mattes", "a0"]
    note_in_card(tmp_path / "lite.json", "val", scores)
    assert read_record(tmp_path / "lite.json")["evaluation"]["val"]["mattes"]["images"] == 2


def test_the_command(material, tmp_path):
    model, out = brightness_model(tmp_path / "model.onnx"), tmp_path / "out"
    arguments = ["--data", str(material), "--model", str(model), "-o", str(out)]
    done = CliRunner().invoke(evaluation.command, arguments, catch_exceptions=False)
    [row] = [line.split() for line in done.output.splitlines() if line.startswith("mattes")]
    assert row[1] == "4" and (out / "worst.jpg").is_file() and (out / "scores.csv").is_file()
    again = [*arguments, "--predictions", str(tmp_path), "--benchmark"]
    assert "drop --predictions" in str(CliRunner().invoke(evaluation.command, again).exception)
