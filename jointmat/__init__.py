"""Removes the background from images of people, in one pass of one network.

    >>> import jointmat
    >>> alpha = jointmat.predict("portrait.jpg")           # (H, W) float32 in [0, 1]
    >>> jointmat.cutout("portrait.jpg").save("cutout.png")  # a Pillow image, RGBA
    >>> matte = jointmat.Predictor().matte("portrait.jpg")  # load once, use often
    >>> matte.composite("white")

Everything is imported when it is first used, so that `import jointmat` is instant and prediction does not need
torch.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "predict": "jointmat.predictor",
    "cutout": "jointmat.predictor",
    "Predictor": "jointmat.predictor",
    "Matte": "jointmat.matte",
    "ModelConfig": "jointmat.config",
    "JointmatError": "jointmat.errors",
}
_IN_TORCH = {"JointMatting": "jointmat.models.joint", "JointOutput": "jointmat.models.joint"}

if TYPE_CHECKING:
    from jointmat.config import ModelConfig
    from jointmat.errors import JointmatError
    from jointmat.matte import Matte
    from jointmat.models.joint import JointMatting, JointOutput
    from jointmat.predictor import Predictor, cutout, predict

__all__ = [
    "JointMatting",
    "JointOutput",
    "JointmatError",
    "Matte",
    "ModelConfig",
    "Predictor",
    "cutout",
    "predict",
]
if not TYPE_CHECKING and importlib.util.find_spec("torch") is None:
    __all__ = [name for name in __all__ if name not in _IN_TORCH]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name) or _IN_TORCH.get(name)
    if home is None:
        raise AttributeError(f"module 'jointmat' has no attribute {name!r}")
    try:
        module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        from jointmat.errors import MissingAttribute, pip_install

        raise MissingAttribute(f"jointmat.{name} needs {error.name}: {pip_install('train')}") from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name not in _IN_TORCH), *__all__})
