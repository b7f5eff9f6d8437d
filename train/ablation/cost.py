"""Cost of the arms: parameters, multiply-accumulates, latency and memory, by torch on this machine's CPU.

One pass is that of the network on one image, with the trimap between two models, without reading or writing
images; weights are random, which does not change the cost. Latencies are taken in turns, memory in a fresh
process for each network.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
from tqdm import tqdm

from jointmat.build import Network, build
from jointmat.config import ModelConfig
from jointmat.evaluation.machine import processor
from jointmat.evaluation.macs import WHOLE, count
from jointmat.evaluation.memory import growth
from jointmat.evaluation.records import read_record, write_record
from jointmat.evaluation.timing import in_turns, ratio, warm

THREADS = (1, 2)


@dataclass(frozen=True)
class Cost:
    """Cost of one network at one size, for one image."""

    parameters: int
    gmac: float
    milliseconds: Sequence[float]
    """Median, by entry of `THREADS`."""
    ratio: Sequence[float]
    """Latency over that of the reference, likewise."""
    megabytes: Sequence[float]
    """Growth of a fresh process that builds and runs the network, likewise."""
    machine: str
    """Torch version, processor and system."""


def measured_once(
    path: Path,
    configs: Mapping[str, ModelConfig],
    reference: str,
    size: int,
    rounds: int,
    only_stored: bool = False,
) -> dict[str, Cost]:
    """`measure`, or its earlier result if `path` holds one for the same arguments.

    only_stored : do not measure; return nothing where `path` has no result
    """
    networks = {name: asdict(config) for name, config in configs.items()}
    asked = json.loads(json.dumps([networks, reference, size, rounds]))
    found = read_record(path)
    if found.get("asked") == asked:
        return {name: Cost(**values) for name, values in found["costs"].items()}
    if only_stored:
        return {}
    costs = measure(configs, reference, size, rounds)
    write_record(path, {"asked": asked, "costs": {name: asdict(cost) for name, cost in costs.items()}})
    return costs


def measure(configs: Mapping[str, ModelConfig], reference: str, size: int, rounds: int) -> dict[str, Cost]:
    """Cost of every network by name, measured together."""
    networks = {config: _network(config) for config in configs.values()}  # each once, of how many arms it may be
    image = _image(size)
    times = [_latencies(networks, image, threads, rounds) for threads in THREADS]
    machine = f"torch {torch.__version__} on {processor()}, {platform.system()}"
    costs = {}
    for config, network in tqdm(networks.items(), desc="memory", disable=None, leave=False):
        parameters, macs = count(network, image)[WHOLE]
        costs[config] = Cost(
            parameters,
            macs / 1e9,
            tuple(median(found[config]) for found in times),
            tuple(ratio(found[config], found[configs[reference]]) for found in times),
            tuple(growth(_pass, config, size, threads) for threads in THREADS),
            machine,
        )
    return {name: costs[config] for name, config in configs.items()}


def _network(config: ModelConfig) -> Network:
    return build(config).eval().to(memory_format=torch.channels_last)


def _image(size: int) -> torch.Tensor:
    coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")
    return image.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def _latencies(
    networks: Mapping[ModelConfig, Network], image: torch.Tensor, threads: int, rounds: int
) -> dict[ModelConfig, list[float]]:
    """Milliseconds of each network, round by round."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    measures = {config: partial(warm, partial(network, image)) for config, network in networks.items()}
    times = in_turns(measures, rounds, f"latency, {threads} threads")
    torch.set_num_threads(before)
    return times


@torch.inference_mode()
def _pass(config: ModelConfig, size: int, threads: int) -> None:
    torch.set_num_threads(threads)
    _network(config)(_image(size))
