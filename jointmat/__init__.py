"""Portrait matting in one pass.

    >>> import jointmat
    >>> alpha = jointmat.predict("portrait.jpg")
    >>> jointmat.Predictor().matte("portrait.jpg").save("cutout.png")

Everything is imported when it is first used, so that `import jointmat` is instant and prediction does not need
torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "predict": "jointmat.predictor",
    "Predictor": "jointmat.predictor",
    "Matte": "jointmat.matte",
    "JointMatting": "jointmat.models.joint",
    "JointOutput": "jointmat.models.joint",
    "ModelConfig": "jointmat.config",
    "JointmatError": "jointmat.errors",
}

if TYPE_CHECKING:
    from jointmat.config import ModelConfig
    from jointmat.errors import JointmatError
    from jointmat.matte import Matte
    from jointmat.models.joint import JointMatting, JointOutput
    from jointmat.predictor import Predictor, predict

__all__ = ["JointMatting", "JointOutput", "JointmatError", "Matte", "ModelConfig", "Predictor", "predict"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'jointmat' has no attribute {name!r}")
    try:
        module = importlib.import_module(_HOMES[name])
    except ModuleNotFoundError as error:
        from jointmat.errors import DependencyError, pip_install

        raise DependencyError(f"jointmat.{name} needs {error.name}: {pip_install('train')}") from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
