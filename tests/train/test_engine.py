import dataclasses
import json

import pytest
import torch

from jointmat.weights import load_model, read_training, save_weights
from tests.tiny import CONFIG, tiny_model
from train import engine
from train.config import DataConfig, PartConfig, TrainConfig


@pytest.fixture
def config(material, tmp_path):
    weights = tmp_path / "start.safetensors"
    save_weights(tiny_model(), weights)
    parts = (PartConfig(1.0, ("train",), ("cutouts",)), PartConfig(1.0, ("train",), ("masks",)))
    data = DataConfig(str(material), parts, background_sources=("bg",), shapes=((64, 64),), workers=0)
    return TrainConfig(
        "run", CONFIG, str(weights), data, steps=6, batch_size=2, warm_up=2, threads=1, given_trimap=0.5
    )


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


def test_training_lowers_the_loss_on_a_batch_it_sees_again(config, tmp_path):
    trainer = engine.Trainer(dataclasses.replace(config, steps=30, given_trimap=0.0), tmp_path)
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


def test_a_gradient_that_is_not_finite_is_skipped(config, tmp_path, caplog):
    trainer = engine.Trainer(config, tmp_path)
    batch = next(iter(trainer.batches()))
    before = [p.clone() for p in trainer.model.parameters()]
    trainer.train_step(batch._replace(image=batch.image * float("nan")))
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))
    assert "not finite" in caplog.text
