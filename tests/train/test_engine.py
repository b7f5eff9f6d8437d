import dataclasses
import json
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import load_file

from jointmat.build import load_model
from jointmat.config import to_mapping
from jointmat.errors import ConfigError, TrainingError
from jointmat.weights import read_training
from tests.tiny import CONFIG
from tests.train.conftest import short_run
from train import engine
from train.config import PartConfig
from train.distributed import World

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(material, tmp_path):
    return short_run(material, tmp_path, steps=6, warm_up=2)


def losses(folder):
    rows = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    return {row["step"]: row["total"] for row in rows}


@pytest.fixture(autouse=True)
def log_every_step(monkeypatch):
    monkeypatch.setattr(engine, "LOG_EVERY", 1)


def test_a_resumed_run_continues_bit_for_bit(config, tmp_path):
    engine.Trainer(config, tmp_path / "whole").run()
    half = engine.Trainer(config, tmp_path / "parts")
    for _, batch in zip(range(3), half.batches(), strict=False):
        half.train_step(batch)
    half.save()
    rest = engine.Trainer(config, tmp_path / "parts")
    rest.run()
    whole, parts = losses(tmp_path / "whole"), losses(tmp_path / "parts")
    assert set(parts) == {4, 5, 6}
    assert all(parts[step] == whole[step] for step in parts)
    first = torch.load(tmp_path / "whole/run/step-00000006.pt", weights_only=True)["model"]
    second = torch.load(tmp_path / "parts/run/step-00000006.pt", weights_only=True)["model"]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_resumed_run_still_names_the_weights_that_it_started_from(config, tmp_path):
    first = engine.Trainer(config, tmp_path)
    first.start = {"weights": "lite.safetensors", "sha256": "of the file as it was then"}
    first.save()
    second = engine.Trainer(config, tmp_path)
    second.restore(torch.load(tmp_path / "run/step-00000000.pt", weights_only=True))
    assert second.record()["stages"][-1]["started_from"] == first.start


def test_training_lowers_the_loss_on_a_batch_it_sees_again(config, tmp_path):
    trainer = engine.Trainer(
        dataclasses.replace(config, steps=30, data=dataclasses.replace(config.data, given_share=0.0)), tmp_path
    )
    batch = next(iter(trainer.batches()))
    totals = [trainer.train_step(batch)["total"] for _ in range(30)]
    assert totals[-1] < 0.7 * totals[0]


def test_a_finished_run_leaves_weights_that_load_and_say_what_they_are(config, tmp_path):
    engine.Trainer(config, tmp_path).run()
    path = tmp_path / "run" / "weights.safetensors"
    load_model(path)
    record = read_training(path)
    assert record["samples"] == 12
    assert {"source": "masks", "licence": "CC0", "pictures": 4} in record["sources"]
    assert record["settings"]["data"]["root"] == "DIR"  # no path of this machine


def spoiled(batch):
    return batch._replace(image=batch.image * float("nan"))


def test_a_gradient_that_is_not_finite_leaves_the_model_as_it_was(config, tmp_path, caplog):
    caplog.set_level("WARNING")
    trainer = engine.Trainer(config, tmp_path)
    batch = next(iter(trainer.batches()))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    terms = trainer.train_step(spoiled(batch))
    assert all(torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())
    assert "not finite" in caplog.text and terms["skipped"] == 1
    assert math.isfinite(trainer.train_step(batch)["total"])


def test_too_many_of_them_in_a_row_stop_the_run_and_keep_the_batch(config, tmp_path):
    trainer = engine.Trainer(dataclasses.replace(config, max_bad_steps=2), tmp_path)
    batch = next(iter(trainer.batches()))
    for bad in (spoiled(batch), batch, spoiled(batch)):  # not in a row
        trainer.train_step(bad)
    with pytest.raises(TrainingError, match="for 2 steps in a row"):
        trainer.train_step(spoiled(batch))
    saved = load_file(tmp_path / "run" / "bad-batch-0.safetensors")
    assert torch.equal(saved["alpha"], batch.alpha) and saved["image"].isnan().all()


def test_a_checkpoint_of_another_model_is_refused_with_what_differs(config, tmp_path):
    engine.Trainer(config, tmp_path).save()
    other = dataclasses.replace(config, model=dataclasses.replace(CONFIG, key_channels=16), initial_weights="")
    trainer = engine.Trainer(config, tmp_path)
    trainer.config = other
    with pytest.raises(ConfigError, match=r"model\.key_channels: 8 → 16"):
        trainer.run()


def test_other_settings_may_change_and_are_told(config, tmp_path, caplog):
    caplog.set_level("INFO")
    engine.Trainer(config, tmp_path).save()
    engine.Trainer(dataclasses.replace(config, steps=2), tmp_path).run()
    assert "steps: 6 → 2" in caplog.text


def test_a_finished_run_is_not_taken_for_one_with_other_data(config, tmp_path, material):
    short = dataclasses.replace(config, steps=1)
    engine.Trainer(short, tmp_path).run()
    weights = (tmp_path / "run" / "weights.safetensors").read_bytes()
    data = dataclasses.replace(config.data, mixture=config.data.mixture[1:])
    other = dataclasses.replace(short, data=data)
    with pytest.raises(
        ConfigError, match=r"run: finished at step 1 with other settings \(data\.mixture: .*name=…"
    ):
        engine.Trainer(other, tmp_path).run()
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == weights
    engine.Trainer(dataclasses.replace(short, threads=2, preview_minutes=1.0), tmp_path).run()
    # With more steps it goes on, and does not forget what it has seen.
    longer = engine.Trainer(dataclasses.replace(other, steps=2, batch_size=4), tmp_path)
    longer.run()
    assert [s["source"] for s in longer.record()["sources"]] == ["bg", "cutouts", "masks"]
    assert longer.record()["samples"] == 2 + 4


def test_the_optimizers_settings_are_those_of_today(config, tmp_path):
    engine.Trainer(config, tmp_path).save()
    now = dataclasses.replace(config, encoder_lr_scale=0.1, weight_decay=0.5)
    trainer = engine.Trainer(now, tmp_path)
    trainer.restore(torch.load(tmp_path / "run/step-00000000.pt", weights_only=True))
    groups = [(group["factor"], group["weight_decay"]) for group in trainer.optimizer.param_groups]
    assert sorted(groups) == [(0.1, 0.0), (0.1, 0.5), (1.0, 0.0), (1.0, 0.5)]


def test_what_a_run_cannot_go_on_from_is_told(config, tmp_path):
    engine.Trainer(config, tmp_path).save()
    frozen = dataclasses.replace(config, frozen=("encoder",))
    with pytest.raises(ConfigError, match=r"another model \(frozen: "):
        engine.Trainer(frozen, tmp_path).run()
    wider = dataclasses.replace(config, model=dataclasses.replace(CONFIG, key_channels=16))
    with pytest.raises(ConfigError, match=r"start\.safetensors: holds another model \(key_channels: 8 → 16\)"):
        engine.Trainer(wider, tmp_path / "new")


@pytest.mark.parametrize("kind", [RuntimeError, OSError])
def test_an_error_in_a_worker_is_one_line_and_ends_it(config, tmp_path, monkeypatch, kind):
    def broken(self, index):
        raise kind("no such thing")

    monkeypatch.setattr(engine.Mixture, "__getitem__", broken)
    before = set(multiprocessing.active_children())
    data = dataclasses.replace(config.data, workers=1)
    with pytest.raises(TrainingError) as error:
        engine.Trainer(dataclasses.replace(config, data=data), tmp_path).run()
    expected = f"step 0: {kind.__name__}: no such thing; restart to resume from the last checkpoint"
    assert str(error.value) == expected
    assert set(multiprocessing.active_children()) == before


def test_the_program_ends_after_an_error_in_a_worker(config, material, tmp_path):
    """A worker that is left would be waited for when the interpreter exits."""
    data = tmp_path / "material"
    shutil.copytree(material, data)
    settings = dataclasses.replace(config, data=dataclasses.replace(config.data, root=str(data), workers=1))
    (tmp_path / "run.yaml").write_text(json.dumps(to_mapping(settings)))
    code = """
import pathlib, sys
from jointmat.cli.errors import run
from train import engine
from train.__main__ import cli
folder = pathlib.Path(sys.argv.pop())
engine.check_items = lambda items: [path.unlink() for path in folder.glob("*.png")][:0]
run(cli)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "run.yaml"), "--runs", str(tmp_path), str(data)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and "cannot be read as an image" in done.stderr.splitlines()[-1]


def test_too_little_shared_memory_is_one_line(config, tmp_path, little_shared_memory):
    settings = dataclasses.replace(config, data=dataclasses.replace(config.data, workers=1))
    (tmp_path / "run.yaml").write_text(json.dumps(to_mapping(settings)))
    command = [*little_shared_memory, sys.executable, "-m", "train", str(tmp_path / "run.yaml")]
    command += ["--runs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "data.workers=0" in done.stderr.splitlines()[-1]


def test_a_run_goes_on_without_the_weights_that_it_started_from(config, tmp_path):
    engine.Trainer(config, tmp_path).save()
    Path(config.initial_weights).unlink()
    trainer = engine.Trainer(config, tmp_path)
    trainer.run()
    assert trainer.step == 6
    assert trainer.record()["stages"][-1]["started_from"]["weights"] == "start.safetensors"


def test_other_processes_are_told(config, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(World, "wrap", lambda _, module: module)
    caplog.set_level("WARNING")
    engine.Trainer(config, tmp_path, World(size=2)).save()
    engine.Trainer(config, tmp_path).run()
    assert "from 4 to 2" in caplog.text


def test_no_paths_of_the_machine_are_recorded(config, tmp_path, material):
    part = PartConfig(sources=("bg",), root=str(material))
    data = dataclasses.replace(config.data, backgrounds=(part,), mixture=(*config.data.mixture, part))
    record = engine.Trainer(dataclasses.replace(config, data=data), tmp_path).record()
    assert str(material.parent) not in json.dumps(record)
    assert record["settings"]["data"]["backgrounds"][0]["root"] == material.name


def test_frozen_parts_stay_as_they_are(config, tmp_path):
    trainer = engine.Trainer(dataclasses.replace(config, frozen=("encoder",), freeze_norm=True), tmp_path)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.train_step(next(iter(trainer.batches())))
    changed = {n for n, value in trainer.model.state_dict().items() if not torch.equal(before[n], value)}
    assert changed and not any(name.startswith("encoder.") or "running" in name for name in changed)
    with pytest.raises(ConfigError, match=r"frozen=head.*encoder"):
        engine.Trainer(dataclasses.replace(config, frozen=("head",)), tmp_path)


def test_an_interrupted_run_has_saved_what_it_did(config, tmp_path):
    trainer = engine.Trainer(config, tmp_path)
    step = trainer.train_step

    def interrupted(batch):
        terms = step(batch)
        if trainer.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return terms

    trainer.train_step = interrupted
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert [path.name for path in (tmp_path / "run").glob("step-*.pt")] == ["step-00000002.pt"]


def test_weights_remember_the_run_that_they_started_from(config, tmp_path):
    engine.Trainer(config, tmp_path).run()
    first = tmp_path / "run" / "weights.safetensors"
    again = dataclasses.replace(config, name="second", initial_weights=str(first))
    record = engine.Trainer(again, tmp_path).record()
    assert [stage["samples"] for stage in record["stages"]][-2:] == [12, 0] and record["samples"] == 12
    assert str(tmp_path) not in json.dumps(record)


def test_a_data_worker_that_dies_is_one_line(config, tmp_path):
    data = dataclasses.replace(config.data, workers=1)
    others = set(multiprocessing.active_children())  # such as a server's that other tests use
    trainer = engine.Trainer(dataclasses.replace(config, steps=1000, data=data), tmp_path)
    step = trainer.train_step

    def deadly(batch):
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        return step(batch)

    trainer.train_step = deadly
    with pytest.raises(TrainingError, match=r"a data worker died .*data\.workers=0"):
        trainer.run()


def test_a_checkpoint_of_something_else_is_one_line(config, tmp_path):
    (tmp_path / config.name).mkdir()
    torch.save({"weights": 1}, tmp_path / config.name / "step-00000001.pt")
    with pytest.raises(TrainingError, match=r"not from a training run .*remove it"):
        engine.Trainer(config, tmp_path).run()


def test_a_folder_is_one_process_at_a_time(config, tmp_path):
    folder = tmp_path / config.name
    folder.mkdir()
    hold = "import sys; from train import checkpoint; from pathlib import Path\n"
    hold += "with checkpoint.locked(Path(sys.argv[1])): print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(folder)]
    other = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    other.stdout.readline()
    with pytest.raises(TrainingError, match=rf"{folder}: another process is training here"):
        engine.Trainer(config, tmp_path).run()
    assert not list(folder.glob("*.pt"))
    other.communicate()
    engine.Trainer(config, tmp_path).run()
    assert list(folder.glob("*.pt"))


def test_a_killed_run_goes_on_as_if_nothing_had_happened(config, tmp_path):
    settings = to_mapping(dataclasses.replace(config, steps=8, checkpoint_minutes=0.0))
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps(settings))  # which is YAML too

    def start(runs):
        command = [sys.executable, "-m", "train", str(path), "--runs", str(runs)]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)

    killed = start(tmp_path / "killed")
    while not list((tmp_path / "killed/run").glob("step-*.pt")):
        assert killed.poll() is None, killed.stderr.read()
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    runs = [start(tmp_path / name) for name in ("killed", "whole")]
    assert [(run.communicate()[1], run.returncode)[1] for run in runs] == [0, 0]
    ends = [
        torch.load(tmp_path / name / "run/step-00000008.pt", weights_only=True)["model"]
        for name in ("killed", "whole")
    ]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_previews_show_what_the_network_makes_of_the_batch_and_its_trimap(config, tmp_path):
    trainer = engine.Trainer(dataclasses.replace(config, preview_minutes=0.0), tmp_path)
    seen = []
    whole = trainer.averaged
    trainer.averaged = lambda: _watched(whole(), seen)
    trainer.run()
    assert len(seen) >= 5 and all(trimap is not None for trimap in seen)
    sheet = cv2.imread(str(tmp_path / "run/preview.jpg"))
    assert sheet.shape == (20 + 2 * (64 + 4), 6 * 64 + 5 * 4, 3)  # two rows, with gaps and captions


def _watched(model, seen):
    model.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[1]))
    return model
