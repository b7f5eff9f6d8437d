"""The study of strokes: where they are drawn, and that they mend what is wrong."""

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")

from jointmat.evaluation.manifest import Item, Kind
from jointmat.io.write import save_image
from jointmat.predictor import Predictor
from tests.fakes import brightness_model
from train.studies.strokes import command, corrected, next_stroke, rows, study


@pytest.fixture
def truth():
    alpha = np.zeros((90, 150), np.float32)
    alpha[20:70, 10:120] = 1
    return alpha


def test_a_stroke_goes_through_the_largest_error_as_wide_as_it_is(truth):
    alpha = truth.copy()
    alpha[30:50, 20:100] = 0  # the largest
    alpha[75:85, 130:140] = 1
    stroke = next_stroke(alpha, truth)
    assert stroke.label == "keep" and 9 <= stroke.radius <= 11
    (x, y), (other_x, other_y) = stroke.points
    assert min(y, other_y) >= 30 and max(y, other_y) < 50 and abs(x - other_x) > 25
    alpha[30:50, 20:100] = 1
    stroke = next_stroke(alpha, truth)
    assert stroke.label == "remove" and 130 <= stroke.points[0][0] < 140


def test_nobody_draws_where_nothing_is_seen_to_be_wrong(truth):
    assert next_stroke(truth, truth) is None
    assert next_stroke(np.clip(truth, 0.2, 0.8), truth) is None


def test_what_the_network_misses_is_mended_stroke_by_stroke(tmp_path, truth):
    image = np.rint(255 * truth)[..., None].repeat(3, axis=2).astype(np.uint8)
    image[30:60, 20:60] = 0  # alpha is the brightness: this part of the subject is missed
    image[30:60, 80:110] = 0
    predictor = Predictor(brightness_model(tmp_path / "brightness.onnx"))
    values = corrected(image, truth, predictor)
    assert len(values) == 6
    assert values[0] > 1.9
    assert values[2] < 0.5 * values[1] < 0.5 * values[0]
    save_image(tmp_path / "image.png", image)
    save_image(tmp_path / "alpha.png", np.rint(255 * truth).astype(np.uint8))
    item = Item(Kind.ALPHA, "drawn", "one", tmp_path / "image.png", label=tmp_path / "alpha.png")
    header, drawn, everything = rows(study([item], predictor))
    assert header == ["source", "images", "0 strokes", "1 stroke", "3 strokes", "5 strokes"]
    assert drawn[1:] == everything[1:] and float(drawn[2]) > float(drawn[4])


def test_the_command_writes_table_and_plot(tmp_path, truth):
    model = brightness_model(tmp_path / "brightness.onnx")
    save_image(tmp_path / "image.png", np.full((90, 150, 3), 128, np.uint8))
    save_image(tmp_path / "alpha.png", np.rint(255 * truth).astype(np.uint8))
    (tmp_path / "manifest.csv").write_text(
        "id,split,source,licence,kind,image,label,trimap\none,val,drawn,CC0-1.0,alpha,image.png,alpha.png,\n"
    )
    options = ["--data", str(tmp_path), "--model", str(model), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(command, options, catch_exceptions=False)
    assert done.exit_code == 0 and "5 strokes" in done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"strokes.csv", "strokes.png"}
