"""Several processes as one run: what `torchrun` started, or a world of one."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.distributed as dist
from timm.layers import convert_sync_batchnorm
from torch import nn

from jointmat.runtime.devices import torch_device


class World(NamedTuple):
    """This process among those of the run."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def is_first(self) -> bool:
        """The one process that writes files and shows progress."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """`module` with gradients averaged over the processes.

        On GPUs (not tested: none was at hand) batch normalisation takes its statistics over all of them; on
        CPUs, for which torch has no such layer, over each process's part of the batch.
        """
        if self.size == 1:
            return module
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            module = convert_sync_batchnorm(module)  # timm's keeps the activations that its layers have inside
        return nn.parallel.DistributedDataParallel(module, device_ids=[self.device] if on_gpu else None)

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Every value averaged over the processes."""
        if self.size == 1:
            return dict(values)
        total = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return dict(zip(values, (total / self.size).tolist(), strict=True))

    def any(self, flag: bool) -> bool:
        """Whether a value is true in any process."""
        return self.mean({"flag": float(flag)})["flag"] > 0

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def world(device: str) -> Iterator[World]:
    """The processes that `torchrun` started, or this one alone.

    device : see `jointmat.runtime.devices.torch_device`; of several GPUs, each process takes its own
    """
    own = torch_device(device)
    if own.type == "cuda" and own.index is None:
        own = torch_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(device=own)
        return
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), size, own)
    finally:
        dist.destroy_process_group()
