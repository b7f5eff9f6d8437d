"""The authors' checkpoint files."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from jointmat.baseline.gca.network import GCAMatting
from jointmat.errors import WeightsError
from jointmat.weights import check_state


def load_gca_checkpoint(path: str | Path) -> GCAMatting:
    """The network with the weights of a checkpoint as the authors release it.

    The file is a `torch.save` of {'iter', 'loss', 'state_dict', 'opt_state_dict', 'lr_state_dict'}; only the
    state dict is used. It is read without executing code. The released weights are for non-commercial use.

    Parameters
    ----------
    path : such as gca-dist.pth or gca-dist-all-data.pth

    Returns
    -------
    GCAMatting in evaluation mode, on the CPU.

    Raises
    ------
    WeightsError
        for a file that cannot be read, is no such checkpoint, belongs to another network, or holds numbers that
        are not finite.
    """
    path = Path(path)
    try:
        state = fold_spectral_norm(_read_state_dict(path))
    except (KeyError, IndexError, RuntimeError) as error:
        raise WeightsError(f"{path}: not the weights of GCA-Matting: no spectral norm ({error})") from error
    model = GCAMatting()
    check_state(path, model.state_dict(), state)
    model.load_state_dict(state)
    return model.eval()


def fold_spectral_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The plain weights of a network that was trained with spectral normalisation.

    Each triple `a.module.weight_bar`, `a.module.weight_u`, `a.module.weight_v` becomes `a.weight` = W̄/σ with
    σ = uᵀW̄v (Miyato et al., "Spectral Normalization", ICLR 2018), where W̄ counts as a matrix of its dimension 0
    against all others, also for transposed convolutions; the other entries stay as they are.
    """
    plain = {name: value for name, value in state.items() if ".module.weight_" not in name}
    for name, bar in state.items():
        if name.endswith(".module.weight_bar"):
            u, v = (state[name.removesuffix("bar") + part] for part in "uv")
            plain[name.replace(".module.weight_bar", ".weight")] = bar / torch.dot(u, bar.flatten(1) @ v)
    return plain


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file, without the prefix of the authors' parallel wrapper."""
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; expected a GCA-Matting checkpoint (.pth)")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        raise WeightsError(
            f"{path}: not a PyTorch checkpoint that can be read safely ({type(error).__name__}); it is "
            "damaged, or holds code beside its tensors"
        ) from error
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: expected a checkpoint with a dict 'state_dict' in it")
    return {str(name).removeprefix("module."): x for name, x in state.items() if isinstance(x, Tensor)}
