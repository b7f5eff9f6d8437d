"""What the arms cost: parameters, multiply-accumulates, latency and memory, by torch on this machine's CPU.

Latencies are taken in turns, one pass of every network a round, so that whatever else the machine does falls on
all alike; the ratio to the reference is the median over rounds of the ratio within the round. Memory is measured
in a process of its own for each network, which has nothing else in it. The pass is the network's, with the trimap
between two models included and reading and writing of pictures left out; weights are random, which changes
nothing about the cost.
"""

import json
import multiprocessing
import platform
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from jointmat.build import Network, build
from jointmat.config import ModelConfig
from jointmat.io.atomic import atomic_write
from train.record import processor

THREADS = (1, 2)


@dataclass(frozen=True)
class Cost:
    """Of one network at one size, one picture."""

    parameters: int
    gmac: float
    milliseconds: Sequence[float]
    """Median by entry of `THREADS`."""
    ratio: Sequence[float]
    """Latency over that of the reference, likewise."""
    megabytes: Sequence[float]
    """Growth of the process from before the network was built to its largest, likewise."""
    machine: str
    """What it was measured by and on."""


def measured_once(
    path: Path,
    configs: Mapping[str, ModelConfig],
    reference: str,
    size: int,
    rounds: int,
    only_stored: bool = False,
) -> dict[str, Cost]:
    """`measure`, or what it said before if `path` holds that for the same arguments.

    only_stored : do not measure; nothing where `path` does not hold it
    """
    networks = {name: asdict(config) for name, config in configs.items()}
    asked = json.loads(json.dumps([networks, reference, size, rounds]))
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["asked"] == asked:
            return {name: Cost(**values) for name, values in found["costs"].items()}
    if only_stored:
        return {}
    costs = measure(configs, reference, size, rounds)
    stored = {"asked": asked, "costs": {name: asdict(cost) for name, cost in costs.items()}}
    with atomic_write(path) as file:
        file.write((json.dumps(stored, indent=1) + "\n").encode())
    return costs


def measure(configs: Mapping[str, ModelConfig], reference: str, size: int, rounds: int) -> dict[str, Cost]:
    """Cost of every network by name, measured together."""
    networks = {name: _network(config) for name, config in configs.items()}
    image = _image(size)
    seconds = [_in_turns(networks, image, threads, rounds) for threads in THREADS]  # each: name → per round
    costs = {}
    machine = f"torch {torch.__version__} on {processor()}, {platform.system()}"
    for name, config in tqdm(configs.items(), desc="memory", disable=None, leave=False):
        costs[name] = Cost(
            sum(p.numel() for p in networks[name].parameters()),
            _gmac(networks[name], image),
            tuple(1000 * float(np.median(times[name])) for times in seconds),
            tuple(float(np.median(np.divide(times[name], times[reference]))) for times in seconds),
            tuple(_peak_megabytes(config, size, threads) for threads in THREADS),
            machine,
        )
    return costs


def _network(config: ModelConfig) -> Network:
    return build(config).eval().to(memory_format=torch.channels_last)


def _image(size: int) -> torch.Tensor:
    coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")
    return image.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def _in_turns(
    networks: Mapping[str, Network], image: torch.Tensor, threads: int, rounds: int
) -> dict[str, list[float]]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    times: dict[str, list[float]] = {name: [] for name in networks}
    for number in tqdm(range(rounds + 1), desc=f"latency, {threads} threads", disable=None, leave=False):
        for name, network in networks.items():
            network(image)  # the caches hold what another one left there
            start = time.perf_counter()
            network(image)
            if number:  # the first round takes the memory that the later ones use again
                times[name].append(time.perf_counter() - start)
    torch.set_num_threads(before)
    return times


@torch.inference_mode()
def _gmac(network: Network, image: torch.Tensor) -> float:
    counter = FlopCounterMode(display=False)
    with counter:
        network(image)
    return counter.get_total_flops() / 2e9


def _peak_megabytes(config: ModelConfig, size: int, threads: int) -> float:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with context.Pool(1) as pool:
        return pool.apply(_growth, (config, size, threads))


@torch.inference_mode()
def _growth(config: ModelConfig, size: int, threads: int) -> float:
    torch.set_num_threads(threads)
    before = _largest()
    _network(config)(_image(size))
    return _largest() - before


def _largest() -> float:
    """Largest size that this process has had, MB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used * 1024 / 1e6  # bytes there, KiB elsewhere
