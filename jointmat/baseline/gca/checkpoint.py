"""The authors' checkpoint files."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from jointmat.baseline.gca.checks import size_text
from jointmat.baseline.gca.network import GCAMatting
from jointmat.baseline.gca.spectral import fold_spectral_norm
from jointmat.errors import WeightsError

_LISTED = 3  # names that an error prints of each kind


def load_gca_checkpoint(path: str | Path, spectral_norm: bool = False) -> GCAMatting:
    """The network with the weights of a checkpoint as the authors release it.

    The file is a `torch.save` of {'iter', 'loss', 'state_dict', 'opt_state_dict', 'lr_state_dict'}; only the
    state dict is used. It is read without executing code. The released weights are for non-commercial use.

    Parameters
    ----------
    path : such as gca-dist.pth or gca-dist-all-data.pth
    spectral_norm : False folds the spectral normalisation into plain weights, which is exact; True keeps it,
        to go on training

    Returns
    -------
    GCAMatting in evaluation mode, on the CPU.

    Raises
    ------
    WeightsError
        for a file that cannot be read, is no such checkpoint, or belongs to another network: the text lists
        the first names that are missing, unexpected or of another shape, or that hold NaN or infinite values.
    """
    path = Path(path)
    state = _read_state_dict(path)
    model = GCAMatting(spectral_norm=True)
    _check_state_dict(state, model.state_dict(), path)
    if spectral_norm:
        model.load_state_dict(state)
    else:
        model = GCAMatting()
        model.load_state_dict(fold_spectral_norm(state))
    broken = [name for name, value in model.state_dict().items() if not value.isfinite().all()]
    if broken:
        raise WeightsError(f"{path}: damaged, {_names('with NaN or inf', broken)}; fetch the file again")
    return model.eval()


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    """The network's weights in a checkpoint file, without the prefix of the authors' parallel wrapper."""
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
        found = list(checkpoint)[:_LISTED] if isinstance(checkpoint, dict) else type(checkpoint).__name__
        raise WeightsError(f"{path}: expected a checkpoint with a dict 'state_dict' in it, got {found}")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def _check_state_dict(state: Mapping[str, object], published: Mapping[str, Tensor], path: Path) -> None:
    """Refuse entries that are not exactly those of the published network, and say which."""
    expected = {name: value.shape for name, value in published.items()}
    found = {name: value.shape for name, value in state.items() if isinstance(value, Tensor)}
    reshaped = [
        f"{name} (expected {size_text(expected[name])}, got {size_text(found[name])})"
        for name in expected.keys() & found.keys()
        if found[name] != expected[name]
    ]
    differences = (
        ("missing", expected.keys() - found.keys()),  # or there, but no tensor
        ("unexpected", state.keys() - expected.keys()),
        ("of another shape", reshaped),
    )
    if any(names for _, names in differences):
        listed = "; ".join(_names(kind, sorted(names)) for kind, names in differences if names)
        raise WeightsError(f"{path}: not the weights of GCA-Matting: {listed}")


def _names(kind: str, names: list[str]) -> str:
    more = ", …" if len(names) > _LISTED else ""
    return f"{len(names)} {kind}: {', '.join(names[:_LISTED])}{more}"
