"""Two processes must do what one does with the double batch."""

import dataclasses
import os
import socket

import pytest
import timm
import torch
import torch.multiprocessing
from torch import nn

from jointmat.errors import DeviceError
from tests.train.conftest import short_run
from train import distributed
from train.distributed import World, world
from train.engine import Trainer

STEPS = 3


def train(config, folder, processes):
    """Losses of every step and the weights after the last one."""
    trainer = Trainer(config, folder, processes)
    for module in trainer.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # each process draws its own
    steps = zip(range(STEPS), trainer.batches(), strict=False)
    losses = [processes.mean(trainer.train_step(batch)) for _, batch in steps]
    trainer.save()
    return losses, trainer.model.state_dict()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def be_one_of_two(rank, port):
    """What torchrun tells a process."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def one_of_two(rank, config, folder, port):
    be_one_of_two(rank, port)
    with world("cpu") as processes:
        result = train(config, folder, processes)
        folder.mkdir(parents=True, exist_ok=True)  # the process that keeps the run may be the later one
        torch.save(result, folder / f"{rank}.pt")


@pytest.fixture
def config(material, tmp_path):
    config = short_run(material, tmp_path, steps=STEPS, warm_up=1, freeze_norm=True)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, shapes=((64, 32), (64, 64))))


def test_two_processes_train_as_one_with_the_double_batch(config, tmp_path):
    torch.multiprocessing.spawn(one_of_two, (config, tmp_path / "two", free_port()), nprocs=2)
    alone = dataclasses.replace(config, batch_size=4)
    losses, weights = train(alone, tmp_path / "one", World())
    results = [torch.load(tmp_path / "two" / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    for found, _ in results:
        for step, expected in zip(found, losses, strict=True):
            assert step == pytest.approx(expected, rel=1e-4, abs=1e-5)
    for _, found in results:
        for name, value in weights.items():
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=2e-5)
    assert len(list((tmp_path / "two" / "run").glob("step-*.pt"))) == 1  # one of them writes


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DeviceError, match=r"device='cuda': torch .* finds no CUDA devices"), world("cuda"):
        pass


def test_a_world_of_one_changes_nothing():
    module, values = nn.Linear(2, 2), {"a": 1.5}
    assert World().wrap(module) is module
    assert World().mean(values) == values
    assert World().any(True) and not World().any(False)


def test_normalisation_over_several_gpus_keeps_what_it_had_inside():
    """timm's layers hold their activation; seen on the CPU, where such layers only work in evaluation."""
    model = timm.create_model("efficientnet_lite0", features_only=True).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = model(image)
        found = distributed.convert_sync_batchnorm(model)(image)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
