import csv
import dataclasses

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from jointmat.errors import InputError
from jointmat.evaluation.manifest import read_manifest
from tests.fakes import brightness_model, peer_model
from tests.train.conftest import disk
from train.peers.__main__ import command
from train.peers.compare import compare
from train.peers.report import WHOLE, draw_extremes, rows
from train.peers.systems import closed_form, open_models


@pytest.fixture
def photos(tmp_path):
    """Two photos whose alpha is their brightness, with trimaps."""
    data = tmp_path / "data"
    data.mkdir()
    rows = []
    for index, soft in enumerate((4, 16)):
        alpha = disk(96, soft)
        cv2.imwrite(str(data / f"photo{index}.png"), np.dstack([alpha] * 3))
        cv2.imwrite(str(data / f"alpha{index}.png"), alpha)
        cv2.imwrite(str(data / f"trimap{index}.png"), np.select([alpha == 0, alpha == 255], [0, 255], 128))
        rows.append((f"p{index}", "val", "drawn", "CC0", "alpha", f"photo{index}.png", f"alpha{index}.png"))
    with (data / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "split", "source", "licence", "kind", "image", "label", "trimap"])
        writer.writerows([*row, f"trimap{index}.png"] for index, row in enumerate(rows))
    return data


def bright(image, _):
    return image[..., 0].astype(np.float32) / 255


def nothing(image, _):
    return np.zeros(image.shape[:2], np.float32)


def test_systems_are_scored_by_their_files_and_the_better_one_has_the_smaller_error(photos, tmp_path):
    items = read_manifest(photos, ["val"])
    results = compare(items, {"bright": bright, "nothing": nothing}, tmp_path)
    sad = {(r.system, r.score.item.name): r.score.values["sad"] for r in results}
    assert sad["bright", "p0"] == sad["bright", "p1"] == 0
    truth = cv2.imread(str(photos / "alpha1.png"), cv2.IMREAD_GRAYSCALE)
    assert sad["nothing", "p1"] == pytest.approx(truth.sum() / 255 / 1000)
    assert (tmp_path / "bright" / "p0.png").is_file()
    first, second = rows(results, WHOLE)[1:]
    assert first[:4] == ["drawn", "bright", "2", "0.0000"] and second[1] == "nothing"


def test_each_photo_is_timed_after_one_call_that_is_not(photos, tmp_path):
    calls = []
    items = read_manifest(photos, ["val"])
    compare(items, {"counting": lambda image, trimap: calls.append(trimap) or bright(image, trimap)}, tmp_path)
    assert len(calls) == 1 + len(items) and all(trimap is None for trimap in calls)


def test_two_photos_of_one_name_would_share_a_file(photos, tmp_path):
    first, second = read_manifest(photos, ["val"])[:2]
    twin = dataclasses.replace(second, name=first.name, source="other")
    with pytest.raises(InputError, match=r"photo1\.png and .*photo0\.png share the name p0, "):
        compare([first, twin], {"bright": bright}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_sheet_has_a_row_a_photo_and_a_column_a_system(photos, tmp_path):
    results = compare(read_manifest(photos, ["val"]), {"bright": bright, "nothing": nothing}, tmp_path)
    draw_extremes(tmp_path / "sheet.png", results, tmp_path, "sad", count=1)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[0] == 2 * (260 + 4) and sheet.shape[1] == 4 * 240 + 3 * 4


def test_closed_form_matting_finds_a_soft_edge_from_the_trimap(photos):
    photo = cv2.imread(str(photos / "photo1.png"))
    trimap = cv2.imread(str(photos / "trimap1.png"), cv2.IMREAD_GRAYSCALE)
    alpha = closed_form(photo, trimap)
    assert alpha.dtype == np.float32
    assert np.abs(alpha - photo[..., 0] / 255)[trimap == 128].mean() < 0.05
    with pytest.raises(InputError, match="needs a trimap"):
        closed_form(photo, None)
    with pytest.raises(InputError, match="estimate_alpha_cf: cannot use a trimap"):
        closed_form(photo, np.full_like(trimap, 128))


def test_the_command_prints_one_table_of_model_and_peer(photos, tmp_path):
    model, peer = brightness_model(tmp_path / "mine.onnx"), peer_model(tmp_path / "theirs.onnx")
    out = tmp_path / "out"
    arguments = ["--data", str(photos), "--model", str(model), "-o", str(out), "--threads", "1"]
    result = CliRunner().invoke(command, [*arguments, "--peer", f"u2netp={peer}"])
    assert result.exception is None, result.exception
    found = [line.split() for line in result.stdout.splitlines() if line.startswith("drawn")]
    assert [row[1] for row in found] == ["mine", "u2netp"]
    assert float(found[0][3]) < 0.2 and (out / "extremes.jpg").is_file()
    with (out / "scores.csv").open(newline="") as file:
        assert [(r["system"], r["name"]) for r in csv.DictReader(file)][1:3] == [("mine", "p1"), ("u2netp", "p0")]

    result = CliRunner().invoke(command, [*arguments, "--given-trimaps"])
    found = [line.split() for line in result.stdout.splitlines() if line.startswith("drawn")]
    assert [row[1] for row in found] == ["mine", "closed-form", "knn"]
    assert all(float(cell) >= 0 for row in found for cell in row[3:])


def test_a_peer_without_a_file_and_two_models_of_one_name_are_refused(photos, tmp_path):
    result = CliRunner().invoke(command, ["--data", str(photos), "--peer", "u2netp"])
    assert "expected NAME=FILE" in str(result.exception)
    with pytest.raises(InputError, match="have the same name"):
        open_models(("a/x.onnx", "b/x.onnx"), None, 1)
