"""Parameters, multiply-accumulates, latency and memory."""

import dataclasses

import pytest
import torch

from jointmat.build import build
from tests.tiny import CONFIG
from train.ablation import cost

CONFIGS = {
    "small": CONFIG,
    "large": dataclasses.replace(CONFIG, decoder_channels=(96, 64, 64), max_queries=None),
    "small again": CONFIG,
    "two": dataclasses.replace(CONFIG, architecture="two-model", unet_channels=(16, 8, 8, 8)),
}


@pytest.fixture(scope="module")
def costs():
    return cost.measure(CONFIGS, "small", size=64, rounds=1)


def test_every_network_has_all_costs(costs):
    threads = torch.get_num_threads()
    assert list(costs) == list(CONFIGS)
    for name, found in costs.items():
        assert found.parameters == sum(p.numel() for p in build(CONFIGS[name]).parameters())
        for values in (found.milliseconds, found.ratio, found.megabytes):
            assert len(values) == len(cost.THREADS) and min(values) > 0
    assert costs["small"].ratio == (1, 1)
    assert costs["small again"] is costs["small"]
    assert costs["small"].gmac < costs["large"].gmac
    assert torch.get_num_threads() == threads  # as it was


def test_what_was_measured_is_kept_until_something_else_is_asked(tmp_path, monkeypatch):
    calls = []

    def measure(configs, *_):
        calls.append(list(configs))
        return {name: cost.Cost(1, 2.5, (3.0, 4.0), (1.0, 1.0), (5.0, 6.0), "here") for name in configs}

    monkeypatch.setattr(cost, "measure", measure)
    path = tmp_path / "cost.json"
    assert cost.measured_once(path, CONFIGS, "small", 64, 2, only_stored=True) == {} and not path.exists()
    first, again = (cost.measured_once(path, CONFIGS, "small", 64, 2) for _ in range(2))
    assert calls == [list(CONFIGS)]
    assert again["two"].gmac == 2.5 and list(again["two"].megabytes) == list(first["two"].megabytes)
    assert cost.measured_once(path, CONFIGS, "small", 64, 2, only_stored=True) == again
    assert cost.measured_once(path, CONFIGS, "small", 96, 2, only_stored=True) == {}
    cost.measured_once(path, CONFIGS, "small", 96, 2)
    cost.measured_once(path, CONFIGS | {"small": CONFIGS["large"]}, "small", 96, 2)
    assert len(calls) == 3
