"""Weights files and their cards: finding, checking, reading and writing them.

Each model has a card beside its files, NAME.json: the configuration, what it was trained on under which licence,
and the sha256 of every file. A named model is only used when its files have the sums that its card states.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from jointmat.config import ModelConfig, from_mapping, to_mapping
from jointmat.errors import DependencyError, WeightsError, pip_install
from jointmat.io.atomic import atomic_write
from jointmat.record import flattened, stages_of


class HasWeights(Protocol):
    """A network with weights and a configuration."""

    config: ModelConfig

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...

    def eval(self) -> Any: ...


Model = TypeVar("Model", bound=HasWeights)

_FOLDERS = (Path(__file__).parent / "weights", Path(__file__).parent.parent / "weights")


def find_weights(model: str | Path, suffix: str) -> Path:
    """The file of a model by name ("lite") or path.

    Parameters
    ----------
    suffix : ".onnx", "-int8.onnx" or ".safetensors", used for names only

    Raises
    ------
    WeightsError
        if there is no such model, or the file's sha256 is not the one of its card.
    """
    path = Path(model)
    if path.suffix:
        if not path.is_file():
            raise WeightsError(f"{path}: no such weights file")
        return path
    for folder in _FOLDERS:
        found = folder / f"{model}{suffix}"
        if found.is_file():
            _check_sum(found, read_card(str(model)))
            return found
    raise WeightsError(
        f"unknown model {str(model)!r} (no {model}{suffix}); available: {', '.join(known_models()) or 'none'}, "
        "or pass a file path"
    )


def has_weights(model: str, suffix: str) -> bool:
    """Whether a model of this name comes with a file of this suffix."""
    return any((folder / f"{model}{suffix}").is_file() for folder in _FOLDERS)


def known_models() -> list[str]:
    """Names of the models with a card in the package or the checkout."""
    return sorted({card.stem for folder in _FOLDERS for card in folder.glob("*.json")})


def read_card(model: str) -> dict[str, Any]:
    """The card of a named model."""
    for folder in _FOLDERS:
        path = folder / f"{model}.json"
        if path.is_file():
            return _parse_card(path)
    raise WeightsError(f"model {model!r}: no card; available: {', '.join(known_models()) or 'none'}")


def notice() -> Path | None:
    """The file that names the sources of the bundled weights with the words of their licences, if it is there."""
    return next((path for folder in _FOLDERS if (path := folder / "NOTICE").is_file()), None)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_weights(model: HasWeights, path: Path, training: dict[str, Any] | None = None) -> None:
    """Write a model with its configuration, and how it was trained, as safetensors; whole or not at all."""
    from safetensors.torch import save

    metadata = {
        "format": "jointmat",
        "config": json.dumps(to_mapping(model.config)),
        "training": json.dumps(training or {}),
    }
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    with atomic_write(path) as file:
        file.write(save(tensors, metadata))


def load(path: Path, build: Callable[[ModelConfig], Model]) -> Model:
    """Build the network of a safetensors file and load its weights; in evaluation mode.

    Raises
    ------
    WeightsError
        if the file is not safetensors (a pickle is never opened), was not written by `save_weights`, lists
        other tensors than its own configuration asks for, or holds numbers that are not finite.
    DependencyError
        without the packages of the extra `train`.
    """
    with _opened(path) as (metadata, file):
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    try:
        model = build(_config(path, metadata))
    except (ValueError, RuntimeError, MemoryError) as error:  # of sizes that make no network, here or in torch
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: its header has no usable config ({reason})") from error
    check_state(path, model.state_dict(), state)
    model.load_state_dict(state)
    return model.eval()


def read_config(path: Path) -> ModelConfig:
    """The configuration of the network in a safetensors file. Errors as in `load`."""
    with _opened(path) as (metadata, _):
        return _config(path, metadata)


def read_training(path: Path) -> dict[str, Any]:
    """How the model in a safetensors file was trained, see `jointmat.record`; {} where the file does not say.

    Errors as in `load`, and WeightsError for a record that is none.
    """
    with _opened(path) as (metadata, _):
        try:
            found = flattened(json.loads(metadata.get("training", "{}")))
            stages_of(found)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
            raise WeightsError(f"{path}: its header does not say how it was trained ({error!r:.80})") from error
    return found


@contextmanager
def _opened(path: Path) -> Iterator[tuple[dict[str, str], Any]]:
    """Header and open safetensors file; tensors are read when they are asked for."""
    try:
        import pydantic  # noqa: F401 (for the configuration in the header)
        import torch  # noqa: F401
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise DependencyError(f"{path} needs {error.name}: {pip_install('train')}") from error
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != "jointmat":
                raise WeightsError(
                    f"{path}: its header lacks format=jointmat; expected weights saved by jointmat"
                )
            yield metadata, file
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from error


def _config(path: Path, metadata: dict[str, str]) -> ModelConfig:
    try:
        return from_mapping(ModelConfig, json.loads(metadata["config"]))
    except (KeyError, ValueError, RecursionError) as error:  # none, broken or unsuitable
        raise WeightsError(f"{path}: its header has no usable config ({error})") from error


def check_state(path: Path, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """WeightsError unless a file holds the tensors that its network has, in their shapes, floating and finite."""
    differences = [f"missing {name}" for name in wanted.keys() - found.keys()]
    differences += [f"unexpected {name}" for name in found.keys() - wanted.keys()]
    differences += [
        f"{name} is {tuple(found[name].shape)}, expected {tuple(wanted[name].shape)}"
        for name in wanted.keys() & found.keys()
        if found[name].shape != wanted[name].shape
    ]
    differences += [
        f"{name} has dtype {str(found[name].dtype).removeprefix('torch.')}, expected floats"
        for name in wanted.keys() & found.keys()
        if wanted[name].is_floating_point() and not found[name].is_floating_point()
    ]
    differences += [
        f"{name} has values that are not finite"
        for name in sorted(found)
        if found[name].is_floating_point() and not found[name].isfinite().all()
    ]
    if differences:
        more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise WeightsError(f"{path}: {'; '.join(sorted(differences)[:5])}{more}")


def _parse_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: not a readable card ({error})") from error
    if not isinstance(card, dict) or not isinstance(card.get("sha256"), dict):
        raise WeightsError(f"{path}: lists no sha256; expected a card made by python -m export publish")
    return card


def _check_sum(path: Path, card: dict[str, Any]) -> None:
    expected, got = card["sha256"].get(path.name), sha256(path)
    if expected != got:
        raise WeightsError(f"{path}: sha256 is {got}, its card says {expected}; fetch the file again")
