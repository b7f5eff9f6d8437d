"""Parameters and multiply-accumulates of a model."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from jointmat.config import ModelConfig
from jointmat.models.joint import JointMatting


def count(config: ModelConfig, size: int) -> str:
    """A table by part for one picture of size×size. Counted: convolutions and matrix products."""
    model = JointMatting(config).eval()
    counter = FlopCounterMode(display=False, depth=1)
    with torch.inference_mode(), counter:
        model(torch.rand(1, 3, size, size))
    rows = [f"{'part':14}{'parameters':>12}{f'GMAC at {size}²':>18}"]
    for name, part in (*model.named_children(), ("all", model)):
        scope = "Global" if part is model else f"JointMatting.{name}"
        macs = sum(counter.get_flop_counts()[scope].values()) / 2e9
        rows.append(f"{name:14}{sum(p.numel() for p in part.parameters()):12,}{macs:18.2f}")
    return "\n".join(rows)
