"""The comparison from end to end, at the smallest size."""

import json
import logging

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file

from jointmat.baseline.pipeline import TwoModelPipeline
from jointmat.errors import ConfigError, InputError
from jointmat.predictor import Predictor
from jointmat.weights import save_weights
from tests.tiny import tiny_model
from tests.train.ablation.conftest import ARMS, PLAN, write
from train.ablation import arms, cost, synthetic
from train.ablation.__main__ import command
from train.ablation.plan import Planner, merged, read_plan


@pytest.fixture(autouse=True)
def costs(monkeypatch):
    """Cheap ones: what is measured is tested beside this."""
    made_up = cost.Cost(1_000_000, 1.0, (1.0, 1.0), (1.0, 1.0), (1.0, 1.0))
    monkeypatch.setattr(cost, "measure", lambda configs, *_: dict.fromkeys(configs, made_up))


def compare(plan, *options):
    output = plan.parent / "runs"
    command.main(["--plan", str(plan), "-o", str(output), *options], standalone_mode=False)
    return output


def trained(caplog):
    """The arms and seeds that were run since the last call."""
    found = [r.getMessage() for r in caplog.records if r.name == arms.__name__]
    caplog.clear()
    return found


def test_quick_from_nothing_to_table_and_picture_and_nothing_twice(plan, caplog, capsys):
    caplog.set_level(logging.INFO)
    output = compare(plan, "--quick")
    assert trained(caplog) == [
        *("joint, seed 1", "two-model, seed 1", "frozen, seed 1", "joint, seed 2"),
        *("true-trimap, seed 1", "true-trimap, seed 2"),
    ]
    first = (output / "table.md").read_text()
    assert all(f"| {arm['title']} |" in first for arm in ARMS.values())
    assert "| 2+2 |" in first and "±" in first and "Made by `python -m train.ablation --quick --plan" in first
    assert "| joint |" not in (shown := capsys.readouterr().out) and "two models" in shown
    columns = 1 + 4 + 1  # photo, arms that are judged, truth
    height, width = cv2.imread(str(output / "arms.jpg")).shape[:2]
    assert width == pytest.approx(columns * 240, abs=4 * columns) and height == pytest.approx(2 * 240, abs=8)
    (output / "table.csv").unlink()
    compare(plan, "--quick")
    assert trained(caplog) == []
    assert (output / "table.csv").read_text().count("\n") == 1 + 6 * 2 + 1
    assert (output / "table.md").read_text() == first
    # Judged otherwise: the same weights again, without a training.
    write(plan, merged(PLAN, {"judge": {"band": 3}}))
    weights = load_file(output / "joint-seed1" / "weights.safetensors")  # the header's order is not fixed
    stored = json.loads((output / "joint-seed1" / "result.json").read_text())
    compare(plan, "--quick", "--arm", "frozen")
    assert trained(caplog) == ["frozen, seed 1"]
    compare(plan, "--quick", "--arm", "true-trimap")
    assert len(trained(caplog)) == 4
    again = json.loads((output / "joint-seed1" / "result.json").read_text())
    assert again["photos"] != stored["photos"] and again["settings"] == stored["settings"]
    now = load_file(output / "joint-seed1" / "weights.safetensors")
    assert now.keys() == weights.keys() and all(now[name].equal(weights[name]) for name in weights)
    # Trained otherwise: that is another comparison.
    write(plan, merged(PLAN, {"quick": {"change": {"steps": 3}}}))
    with pytest.raises(
        ConfigError, match=r"is the result of another plan \(1\.steps: 2 → 3\); choose another -o"
    ):
        compare(plan, "--quick")


def test_arm_by_arm(plan, material, caplog):
    caplog.set_level(logging.INFO)
    output = compare(plan, "--data", str(material), "--arm", "frozen")
    assert trained(caplog) == ["frozen, seed 1"]
    lines = {line.split(" | ")[0]: line for line in (output / "table.md").read_text().splitlines()}
    assert "| 3+3 |" in lines["| frozen"] and lines["| joint"].count("–") == 14
    compare(plan, "--data", str(material), "--arm", "two-model")
    assert trained(caplog) == ["two-model, seed 1"]
    lines = {line.split(" | ")[0]: line for line in (output / "table.md").read_text().splitlines()}
    assert "–" not in lines["| frozen"] + lines["| two models"]


def test_weights_that_are_there_are_judged_as_they_are(plan, material, tmp_path, caplog):
    save_weights(tiny_model(), tmp_path / "own.safetensors", {"steps": 7, "samples": 14, "hours": 0.5})
    write(plan, merged(PLAN, {"arms": {"joint": {"weights": str(tmp_path / "own.safetensors"), "seeds": [1]}}}))
    output = compare(plan, "--data", str(material), "--arm", "joint")
    found = json.loads((output / "joint-seed1" / "result.json").read_text())
    assert (found["steps"], found["samples"], found["hours"]) == ([7], 14, 0.5)
    photo = next(iter(found["photos"]))
    mad = found["photos"][photo]["mad"]
    predictor = Predictor(tmp_path / "own.safetensors", max_side=64)
    alpha = predictor.predict(material / f"photo{photo[1:]}.png")
    truth = cv2.imread(str(material / f"alpha{photo[1:]}.png"), cv2.IMREAD_GRAYSCALE) / 255
    assert np.abs(np.rint(alpha * 255) / 255 - truth).mean() == pytest.approx(mad, rel=1e-5)
    save_weights(tiny_model(seed=1), tmp_path / "own.safetensors")
    with pytest.raises(ConfigError, match=r"is the result of another plan \(weights: "):
        compare(plan, "--data", str(material))


def test_two_models_are_judged_with_the_trimap_they_were_given(plan, tmp_path):
    planner = Planner(read_plan(plan), plan.parent, {})
    for name in ("two-model", "joint"):
        (tmp_path / f"{name}-seed1").mkdir()
        save_weights(tiny_model(planner.model(name)), tmp_path / f"{name}-seed1" / "weights.safetensors")
    assert isinstance(arms.predictor_of(planner, "two-model", 1, tmp_path), TwoModelPipeline)
    assert isinstance(arms.predictor_of(planner, "true-trimap", 1, tmp_path), Predictor)


def test_how_long_it_would_take(plan, capsys):
    output = compare(plan, "--quick", "--estimate")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["arm", "seeds", "steps", "minutes"]
    assert [row[:3] for row in rows[1:-1]] == [["joint", "2", "2"], ["two-model", "1", "2"], ["frozen", "1", "4"]]
    assert rows[-1][0] == "together"
    assert [path.name for path in output.iterdir()] == [synthetic.FOLDER]
    compare(plan, "--quick", "--estimate", "--arm", "frozen")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["arm", "frozen", "together"]


def test_without_data_only_the_quick_form_runs(plan):
    with pytest.raises(
        InputError, match=r"--data is not given: name the folder with a manifest\.csv, or add --quick"
    ):
        compare(plan)
    with pytest.raises(ConfigError, match="no arm x: expected joint"):
        compare(plan, "--quick", "--arm", "x")
    assert not (plan.parent / "runs").exists()
