"""The comparison from end to end, at the smallest size."""

import json
import logging
from dataclasses import replace

import cv2
import pytest
import torch.multiprocessing
from safetensors.torch import load_file

from jointmat.baseline.pipeline import TwoModelPipeline
from jointmat.errors import ConfigError, InputError, WeightsError
from jointmat.predictor import Predictor
from jointmat.weights import save_weights
from tests.tiny import tiny_model
from tests.train.ablation.conftest import ARMS, PLAN, write
from tests.train.test_distributed import be_one_of_two, free_port
from train.ablation import arms, cost
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


def cells(markdown):
    """The rows of a table by their first cell."""
    rows = [line.strip("|").split("|") for line in markdown.splitlines() if line.startswith("|")][2:]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def trained(caplog):
    """The arms and seeds that were run since the last call."""
    found = [r.getMessage() for r in caplog.records if r.name == arms.__name__]
    caplog.clear()
    return found


def test_quick_from_nothing_to_table_and_sheet_and_nothing_twice(plan, caplog, capsys):
    caplog.set_level(logging.INFO)
    output = compare(plan, "--quick")
    assert trained(caplog) == [
        *("joint, seed 1", "two-model, seed 1", "frozen, seed 1", "joint, seed 2"),
        *("narrow, seed 1", "true-trimap, seed 1", "true-trimap, seed 2"),
    ]
    first = (output / "table.md").read_text()
    arms_shown = cells(first)
    assert list(arms_shown) == [arm["title"] for arm in ARMS.values()] and "2+2" in arms_shown["frozen"]
    assert all(
        text in first for text in ("ΔSAD to joint", "±", "Made by `python -m train.ablation --quick --plan")
    )
    assert "|" not in (shown := capsys.readouterr().out) and "two models" in shown
    columns = 1 + 5 + 1  # image, arms that are judged, truth
    height, width = cv2.imread(str(output / "arms.jpg")).shape[:2]
    assert width == pytest.approx(columns * 240, abs=4 * columns) and height == pytest.approx(2 * 260, abs=8)
    (output / "table.csv").unlink()
    compare(plan, "--quick")
    assert trained(caplog) == []
    # The header; seven runs and five arms as a whole, for all sources and the only one; the arm of costs only.
    assert (output / "table.csv").read_text().count("\n") == 1 + (7 + 5) * 2 + 1
    assert (output / "table.md").read_text() == first
    # Judged otherwise: the same weights again, without a training.
    write(plan, merged(PLAN, {"judge": {"band": 3}}))
    weights = load_file(output / "joint-seed1" / "weights.safetensors")  # the header's order is not fixed
    stored = json.loads((output / "joint-seed1" / arms.RESULT).read_text())
    compare(plan, "--quick", "--arm", "frozen")
    assert trained(caplog) == ["frozen, seed 1"]
    compare(plan, "--quick", "--arm", "true-trimap")
    assert len(trained(caplog)) == 4
    again = json.loads((output / "joint-seed1" / arms.RESULT).read_text())
    assert again["images"] != stored["images"] and again["judged"]["band"] == 3
    now = load_file(output / "joint-seed1" / "weights.safetensors")
    assert now.keys() == weights.keys() and all(now[name].equal(weights[name]) for name in weights)
    # Trained otherwise: that is another comparison.
    write(plan, merged(PLAN, {"quick": {"change": {"steps": 3}}}))
    with pytest.raises(ConfigError, match=r"joint-seed1: belongs to another plan \(1\.steps: 2 → 3\); remove it"):
        compare(plan, "--quick")


def test_arm_by_arm(plan, material, caplog):
    caplog.set_level(logging.INFO)
    output = compare(plan, "--data", str(material), "--arm", "frozen")
    assert trained(caplog) == ["frozen, seed 1"]
    rows = cells((output / "table.md").read_text())
    quality = 1 + 1 + 1 + 14  # steps, difference, SAD of the source, and the numbers themselves
    assert "3+3" in rows["frozen"] and rows["joint"].count("–") == COSTS + quality
    compare(plan, "--data", str(material), "--arm", "two-model")
    assert trained(caplog) == ["two-model, seed 1"]
    rows = cells((output / "table.md").read_text())
    without = COSTS + 1  # the difference to an arm that has not run
    assert rows["frozen"].count("–") == rows["two models"].count("–") == without
    assert not (output / "cost.json").exists()
    cost.measured_once(output / "cost.json", networks(plan), "joint", 64, 2)
    compare(plan, "--data", str(material), "--arm", "frozen")
    assert cells((output / "table.md").read_text())["frozen"].count("–") == 1


def networks(plan):
    """All those whose cost stands in the table."""
    planner = Planner(read_plan(plan), plan.parent, {})
    return {name: planner.model(name) for name in ARMS if "of" not in ARMS[name]}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"change": {"steps": 4}}, r"1\.steps: 3 → 4"),
        ({"change": {"data": {"shapes": [[96, 96]]}}}, r"1\.data\.shapes: \[\[64, 64\]\] → \[\[96, 96\]\]"),
        ({"processes": 2}, r"processes: 1 → 2"),
    ],
)
def test_a_run_of_another_plan_is_not_resumed(plan, material, change, text):
    options = ("--data", str(material), "--arm", "joint")
    planner = Planner(read_plan(plan), plan.parent, {"root": str(material)})
    folder = plan.parent / "runs" / "joint-seed1"
    folder.mkdir(parents=True)
    (folder / arms.SETTINGS).write_text(json.dumps(arms._settings(planner, "joint", 1)))
    half_trained(planner.runs("joint", 1)[0], plan.parent / "runs")
    write(plan, merged(PLAN, change))
    with pytest.raises(ConfigError, match=rf"joint-seed1: belongs to another plan \({text}\); remove it"):
        compare(plan, *options)


def test_a_run_is_resumed_where_only_settings_without_effect_changed(plan, material, caplog):
    caplog.set_level(logging.INFO)
    planner = Planner(read_plan(plan), plan.parent, {"root": str(material)})
    [stage] = planner.runs("joint", 1)
    output = plan.parent / "runs"
    half_trained(replace(stage, checkpoint_minutes=1.0, data=replace(stage.data, workers=1)), output)
    arms.run_arms(planner, output, {"joint"}, World())
    assert "resumed at step 1" in caplog.text
    assert sorted(path.name for path in (output / stage.name).glob("*.pt"))[-1] == "step-00000003.pt"


def test_two_processes_share_the_runs_and_one_of_them_judges(plan, material):
    write(plan, merged(PLAN, {"processes": 2}))
    options = ("--data", str(material), "--arm", "frozen")
    with pytest.raises(
        ConfigError,
        match=r"frozen: the plan needs processes=2, got 1; start it with torchrun .*-node 2 -m train\.",
    ):
        compare(plan, *options)
    torch.multiprocessing.spawn(one_of_two, (plan, free_port(), options), nprocs=2)
    stored = json.loads((plan.parent / "runs" / "frozen-seed1" / arms.RESULT).read_text())
    assert stored["steps"] == [3, 3] and stored["samples"] == (3 + 3) * 2 * 2
    compare(plan, *options)  # only judged and drawn: one is enough
    write(plan, PLAN)
    with pytest.raises(ConfigError, match=r"frozen-seed1: belongs to another plan \(processes: 2 → 1\)"):
        compare(plan, *options)


def one_of_two(rank, plan, port, options):
    be_one_of_two(rank, port)
    compare(plan, *options)


def test_the_table_goes_into_a_folder_of_its_own_and_stays_without_weights(plan, tmp_path, caplog, capsys):
    caplog.set_level(logging.INFO)
    folder = tmp_path / "results"
    options = ("--quick", "--results", str(folder), "--arm", "joint", "--arm", "frozen")
    output = compare(plan, *options)
    assert len(trained(caplog)) == 3 and not (output / "table.md").exists()
    first = (folder / "table.md").read_text()
    width = cv2.imread(str(folder / "arms.jpg")).shape[1]
    (output / "frozen-seed1" / "weights.safetensors").unlink()
    compare(plan, *options)
    assert trained(caplog) == [] and (folder / "table.md").read_text() == first
    assert cv2.imread(str(folder / "arms.jpg")).shape[1] < width
    for seed in (1, 2):
        (output / f"joint-seed{seed}" / "weights.safetensors").unlink()
    capsys.readouterr()
    compare(plan, *options)
    assert f"wrote table.md, table.csv into {folder}" in capsys.readouterr().out
    with pytest.raises(WeightsError, match=r"joint-seed1.weights\.safetensors: no such weights file"):
        compare(plan, *options, "--arm", "true-trimap")


def half_trained(stage, output):
    """A run that was stopped after its first step."""
    trainer = Trainer(stage, output)
    trainer.train_step(next(iter(trainer.batches())))
    trainer.save()


def test_two_models_are_judged_with_the_trimap_they_were_given(plan, tmp_path):
    planner = Planner(read_plan(plan), plan.parent, {})
    for name in ("two-model", "joint"):
        (tmp_path / f"{name}-seed1").mkdir()
        save_weights(tiny_model(planner.model(name)), tmp_path / f"{name}-seed1" / "weights.safetensors")
    assert isinstance(wide := arms.predictor_of(planner, "two-model", 1, tmp_path), TwoModelPipeline)
    assert isinstance(narrow := arms.predictor_of(planner, "narrow", 1, tmp_path), TwoModelPipeline)
    assert [(p.backend.kernel, p.backend.iterations) for p in (wide, narrow)] == [(7, 6), (3, 6)]
    assert isinstance(arms.predictor_of(planner, "true-trimap", 1, tmp_path), Predictor)


def test_without_data_only_the_quick_form_runs(plan):
    with pytest.raises(InputError, match=r"missing --data DIR, .* or add --quick"):
        compare(plan)
    with pytest.raises(ConfigError, match="no arm x: expected joint"):
        compare(plan, "--quick", "--arm", "x")
    assert not (plan.parent / "runs").exists()
