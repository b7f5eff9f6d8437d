"""Parameters, multiply-accumulates and the attention's memory: what a model costs, without running it."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from jointmat.config import ModelConfig
from jointmat.models.joint import JointMatting

_FORMATS = {"512²": (512, 512), "1080p": (1080, 1920), "4K": (2160, 3840)}


def count(config: ModelConfig, size: int) -> str:
    """A table by part for one picture of size×size. Counted: convolutions and matrix products."""
    rows = [f"{'part':14}{'parameters':>12}{f'GMAC at {size}²':>18}"]
    rows += [f"{name:14}{p:12,}{m / 1e9:18.2f}" for name, (p, m) in parts(config, size).items()]
    return "\n".join(rows)


def parts(config: ModelConfig, size: int) -> dict[str, tuple[int, float]]:
    """(parameters, multiply-accumulates) of each part for one picture of size×size, and of "all"."""
    counter = FlopCounterMode(display=False, depth=1)
    with torch.device("meta"):  # shapes without numbers
        model = JointMatting(config).eval()
        with torch.inference_mode(), counter:
            model(torch.rand(1, 3, size, size))
    costs = {}
    for name, part in (*model.named_children(), ("all", model)):
        scope = "Global" if part is model else f"JointMatting.{name}"
        macs = sum(counter.get_flop_counts()[scope].values()) / 2
        costs[name] = (sum(p.numel() for p in part.parameters()), macs)
    return costs


def attention_memory(config: ModelConfig) -> str:
    """A table of the attention's similarity matrix by working size: N patches, and its bytes as published and
    with the configuration's bound on queries.

    The matrix is the attention's largest tensor; the softmax holds a second one of its size beside it.
    """
    bound = config.max_queries
    title = "no bound" if bound is None else f"at most {bound} queries"
    rows = [f"{'size':7}{'height x width':>16}{'patches N':>11}{'published N²':>15}{title:>22}"]
    for name, (height, width) in _FORMATS.items():
        padded = [-(-side // config.stride) * config.stride for side in (height, width)]
        patches = padded[0] // 16 * (padded[1] // 16)
        published, bounded = (f"{similarity_bytes(patches, q) / 1e6:,.1f} MB" for q in (None, bound))
        rows.append(f"{name:7}{f'{padded[0]} x {padded[1]}':>16}{patches:11,}{published:>15}{bounded:>22}")
    return "\n".join(rows)


def similarity_bytes(patches: int, max_queries: int | None) -> int:
    """Of the fp32 matrix of all patches against the patches that ask: N·min(N, max_queries)·4."""
    return 4 * patches * min(patches, max_queries or patches)
