"""The comparison from end to end, at the smallest size."""

import json
import logging
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch.multiprocessing
from safetensors.torch import load_file

from jointmat.baseline.pipeline import TwoModelPipeline
from jointmat.errors import ConfigError, InputError
from jointmat.predictor import Predictor
from jointmat.weights import save_weights
from tests.tiny import tiny_model
from tests.train.ablation.conftest import ARMS, PLAN, write
from tests.train.test_distributed import be_one_of_two, free_port
from train import checkpoint
from train.ablation import arms, cost, synthetic
from train.ablation.__main__ import command
from train.ablation.plan import Planner, read_plan
from train.config import merged
from train.distributed import World
from train.engine import Trainer

COSTS = 6
"""Columns of the table."""


@pytest.fixture(autouse=True)
def costs(monkeypatch):
    """Cheap ones: what is measured is tested beside this."""
    made_up = cost.Cost(1_000_000, 1.0, (1.0, 1.0), (1.0, 1.0), (1.0, 1.0), "here")
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
        *("narrow, seed 1", "true-trimap, seed 1", "true-trimap, seed 2"),
    ]
    first = (output / "table.md").read_text()
    assert all(f"| {arm['title']} |" in first for arm in ARMS.values())
    assert (
        "| 2+2 |" in first
        and "ΔSAD to joint" in first
        and "±" in first
        and "Made by `python -m train.ablation --quick --plan" in first
    )
    assert "| joint |" not in (shown := capsys.readouterr().out) and "two models" in shown
    columns = 1 + 5 + 1  # photo, arms that are judged, truth
    height, width = cv2.imread(str(output / "arms.jpg")).shape[:2]
    assert width == pytest.approx(columns * 240, abs=4 * columns) and height == pytest.approx(2 * 240, abs=8)
    (output / "table.csv").unlink()
    compare(plan, "--quick")
    assert trained(caplog) == []
    # The header; seven runs and five arms as a whole, for all sources and the only one; the arm of costs only.
    assert (output / "table.csv").read_text().count("\n") == 1 + (7 + 5) * 2 + 1
    assert (output / "table.md").read_text() == first
    # Judged otherwise: the same weights again, without a training.
    write(plan, merged(PLAN, {"judge": {"band": 3}}))
    weights = load_file(output / "joint-seed1" / "weights.safetensors")  # the header's order is not fixed
    stored = json.loads((output / "joint-seed1.json").read_text())
    compare(plan, "--quick", "--arm", "frozen")
    assert trained(caplog) == ["frozen, seed 1"]
    compare(plan, "--quick", "--arm", "true-trimap")
    assert len(trained(caplog)) == 4
    again = json.loads((output / "joint-seed1.json").read_text())
    assert again["photos"] != stored["photos"] and again["settings"] == stored["settings"]
    now = load_file(output / "joint-seed1" / "weights.safetensors")
    assert now.keys() == weights.keys() and all(now[name].equal(weights[name]) for name in weights)
    # Trained otherwise: that is another comparison.
    write(plan, merged(PLAN, {"quick": {"change": {"steps": 3}}}))
    with pytest.raises(
        ConfigError, match=r"joint-seed1\.json: is of another plan \(1\.steps: 2 → 3\); remove it"
    ):
        compare(plan, "--quick")


def test_arm_by_arm(plan, material, caplog):
    caplog.set_level(logging.INFO)
    output = compare(plan, "--data", str(material), "--arm", "frozen")
    assert trained(caplog) == ["frozen, seed 1"]
    lines = {line.split(" | ")[0]: line for line in (output / "table.md").read_text().splitlines()}
    quality = 1 + 1 + 1 + 13  # steps, difference, SAD of the source, and the numbers themselves
    assert "| 3+3 |" in lines["| frozen"] and lines["| joint"].count("–") == COSTS + quality
    compare(plan, "--data", str(material), "--arm", "two-model")
    assert trained(caplog) == ["two-model, seed 1"]
    lines = {line.split(" | ")[0]: line for line in (output / "table.md").read_text().splitlines()}
    without = COSTS + 1  # the difference to an arm that has not run
    assert lines["| frozen"].count("–") == lines["| two models"].count("–") == without
    assert not (output / "cost.json").exists()
    cost.measured_once(output / "cost.json", networks(plan), "joint", 64, 2)
    compare(plan, "--data", str(material), "--arm", "frozen")
    lines = {line.split(" | ")[0]: line for line in (output / "table.md").read_text().splitlines()}
    assert lines["| frozen"].count("–") == 1


def networks(plan):
    """All those whose cost stands in the table."""
    planner = Planner(read_plan(plan), plan.parent, {})
    return {name: planner.model(name) for name in ARMS if "of" not in ARMS[name]}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"steps": 4}, r"steps: 3 → 4"),
        ({"batch_size": 3}, r"batch_size: 2 → 3"),
        ({"data": {"shapes": [[96, 96]]}}, r"data\.shapes: \[\[64, 64\]\] → \[\[96, 96\]\]"),
        ({"model": {"saturation": 0.2}}, r"model\.saturation: 0\.1 → 0\.2"),
    ],
)
def test_a_checkpoint_of_another_plan_is_not_gone_on_from(plan, material, change, text):
    def stages():
        return Planner(read_plan(plan), plan.parent, {"root": str(material)}).runs("joint", 1)

    output = plan.parent / "runs"
    half_trained(stages()[0], output)
    write(plan, merged(PLAN, {"change": change}))
    with pytest.raises(
        ConfigError, match=rf"joint-seed1: its checkpoint is of another plan \({text}\); remove it"
    ):
        arms._run_stages(stages(), output, World())


def test_a_checkpoint_goes_on_where_nothing_changed_that_is_learned_from(plan, material):
    [stage] = Planner(read_plan(plan), plan.parent, {"root": str(material)}).runs("joint", 1)
    output = plan.parent / "runs"
    half_trained(replace(stage, checkpoint_minutes=1.0, data=replace(stage.data, workers=1)), output)
    before = (output / stage.name / "step-00000001.pt").read_bytes()
    arms._run_stages([stage], output, World())
    assert [path.name for path in sorted((output / stage.name).glob("*.pt"))] == [
        *("step-00000001.pt", "step-00000003.pt")
    ]
    assert (output / stage.name / "step-00000001.pt").read_bytes() == before


def test_a_setting_that_a_checkpoint_does_not_know_is_another_one(plan, material):
    [stage] = Planner(read_plan(plan), plan.parent, {"root": str(material)}).runs("joint", 1)
    output = plan.parent / "runs"
    half_trained(stage, output)
    saved = checkpoint.load_newest(output / stage.name)
    del saved["config"]["model"]["saturation"]
    checkpoint.save(output / stage.name, 1, saved)
    with pytest.raises(ConfigError, match=r"of another plan \(model\.saturation: None → 0\.1\)"):
        arms._run_stages([stage], output, World())


def test_two_processes_share_the_runs_and_one_of_them_judges(plan, material):
    write(plan, merged(PLAN, {"processes": 2}))
    options = ("--data", str(material), "--arm", "frozen")
    with pytest.raises(
        ConfigError,
        match=r"frozen: the plan is for processes=2, got 1; start it with torchrun .*-node 2 -m train\.",
    ):
        compare(plan, *options)
    torch.multiprocessing.spawn(one_of_two, (plan, free_port(), options), nprocs=2)
    stored = json.loads((plan.parent / "runs" / "frozen-seed1.json").read_text())
    assert stored["steps"] == [3, 3] and stored["samples"] == (3 + 3) * 2 * 2
    assert stored["settings"]["processes"] == 2
    compare(plan, *options)  # only judged and drawn: one is enough
    write(plan, PLAN)
    with pytest.raises(ConfigError, match=r"frozen-seed1\.json: is of another plan \(processes: 2 → None\)"):
        compare(plan, *options)


def one_of_two(rank, plan, port, options):
    be_one_of_two(rank, port)
    compare(plan, *options)


def test_results_stay_when_their_weights_are_gone(plan, tmp_path, caplog, capsys):
    caplog.set_level(logging.INFO)
    stored = tmp_path / "stored"
    output = compare(plan, "--quick", "--results", str(stored), "--arm", "joint", "--arm", "frozen")
    assert len(trained(caplog)) == 3
    first, height = (stored / "table.md").read_text(), cv2.imread(str(stored / "arms.jpg")).shape[0]
    shutil.rmtree(output / "frozen-seed1")
    compare(plan, "--quick", "--results", str(stored), "--arm", "joint", "--arm", "frozen")
    assert trained(caplog) == []
    assert (stored / "table.md").read_text() == first
    picture = cv2.imread(str(stored / "arms.jpg"))
    assert picture.shape[0] == height and picture.shape[1] == pytest.approx(3 * 240, abs=12)
    shutil.rmtree(output / "joint-seed1")
    capsys.readouterr()
    compare(plan, "--quick", "--results", str(stored), "--arm", "joint", "--arm", "frozen")
    assert f"wrote table.md, table.csv into {stored}" in capsys.readouterr().out
    np.testing.assert_array_equal(cv2.imread(str(stored / "arms.jpg")), picture)
    with pytest.raises(ConfigError, match=r"true-trimap: takes the weights of joint, which .*runs does not have"):
        compare(plan, "--quick", "--results", str(stored), "--arm", "true-trimap")


def half_trained(stage, output):
    """A run that was stopped after its first step."""
    trainer = Trainer(stage, output)
    trainer.train_step(next(iter(trainer.batches())))
    trainer.save()


def test_weights_that_are_there_are_judged_as_they_are(plan, material, tmp_path, caplog):
    save_weights(tiny_model(), tmp_path / "own.safetensors", {"steps": 7, "samples": 14, "hours": 0.5})
    write(plan, merged(PLAN, {"arms": {"joint": {"weights": str(tmp_path / "own.safetensors"), "seeds": [1]}}}))
    output = compare(plan, "--data", str(material), "--arm", "joint")
    found = json.loads((output / "joint-seed1.json").read_text())
    assert (found["steps"], found["samples"], found["hours"]) == ([7], 14, 0.5)
    photo = next(iter(found["photos"]))
    mad = found["photos"][photo]["mad"]
    predictor = Predictor(tmp_path / "own.safetensors", max_side=64)
    alpha = predictor.predict(material / f"photo{photo[1:]}.png")
    truth = cv2.imread(str(material / f"alpha{photo[1:]}.png"), cv2.IMREAD_GRAYSCALE) / 255
    assert np.abs(np.rint(alpha * 255) / 255 - truth).mean() == pytest.approx(mad, rel=1e-5)
    save_weights(tiny_model(seed=1), tmp_path / "own.safetensors")
    with pytest.raises(ConfigError, match=r"json: is of another plan \(weights: "):
        compare(plan, "--data", str(material))


def test_two_models_are_judged_with_the_trimap_they_were_given(plan, tmp_path):
    planner = Planner(read_plan(plan), plan.parent, {})
    for name in ("two-model", "joint"):
        (tmp_path / f"{name}-seed1").mkdir()
        save_weights(tiny_model(planner.model(name)), tmp_path / f"{name}-seed1" / "weights.safetensors")
    assert isinstance(wide := arms.predictor_of(planner, "two-model", 1, tmp_path), TwoModelPipeline)
    assert isinstance(narrow := arms.predictor_of(planner, "narrow", 1, tmp_path), TwoModelPipeline)
    assert [(p.backend.kernel, p.backend.iterations) for p in (wide, narrow)] == [(7, 6), (3, 6)]
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
