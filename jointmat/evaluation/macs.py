"""Parameters and multiply-accumulates of a torch network, part by part."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

WHOLE = "all"
"""Key of the whole network."""


@torch.inference_mode()
def count(network: nn.Module, *inputs: Tensor) -> dict[str, tuple[int, float]]:
    """(parameters, multiply-accumulates) of each child of a network and of `WHOLE`, for one pass of the inputs.

    Counted are convolutions and matrix products. Network and inputs may be on the device "meta", where nothing is
    computed.
    """
    counter = FlopCounterMode(display=False, depth=1)
    with counter:
        network(*inputs)
    counted = counter.get_flop_counts()
    costs = {}
    for name, part in (*network.named_children(), (WHOLE, network)):
        flops = counted.get("Global" if part is network else f"{type(network).__name__}.{name}", {})
        costs[name] = sum(p.numel() for p in part.parameters()), sum(flops.values()) / 2
    return costs
