"""Every error and warning that jointmat raises, under one base.

Each message says what was got, what was expected and what to do about it, on one line, so that the command
line can print it as it is.
"""


class JointmatError(Exception):
    """Base of all errors of this package."""


class InputError(JointmatError, ValueError):
    """An argument of the right type with a value that cannot be used."""


class InputTypeError(JointmatError, TypeError):
    """An argument of a type or dtype that cannot be used."""


class ImageError(InputError):
    """A file or a byte string that is not a readable image."""


class ImageTooLarge(ImageError):
    """An image with more pixels than the limit allows."""


class WeightsError(JointmatError):
    """A weights file that is missing, damaged, unsafe, or made for another model."""


class ExportError(JointmatError):
    """An exported file that cannot be made, or does not agree with the model it came from."""


class DeviceError(JointmatError):
    """A device or execution provider that was asked for and is not there, or ran out of memory."""


class ConfigError(InputError):
    """A configuration with an unknown key, a wrong type or contradictory values."""


class TrainingError(JointmatError):
    """A training run that cannot continue."""


class VideoError(JointmatError):
    """A video that cannot be read or written."""


class DependencyError(JointmatError, ImportError):
    """An optional package that this call needs is not installed."""


class MissingAttribute(JointmatError, AttributeError):
    """A name whose extra is not installed; an AttributeError, so that `hasattr` says False."""


class JointmatWarning(UserWarning):
    """Something in the input was ignored or repaired; the result is still valid."""


def pip_install(extra: str) -> str:
    """The command that adds an extra to this installation: from an index, a file, a repository or a checkout."""
    import importlib.metadata
    import json
    from pathlib import Path

    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        place = "." if checkout == Path.cwd() else checkout
        return f"pip install -e '{place}[{extra}]'"
    try:
        source = importlib.metadata.distribution("jointmat").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        source = None
    if source is None:
        return f"pip install 'jointmat[{extra}]'"
    origin = json.loads(source)
    repository = f"{origin['vcs_info']['vcs']}+" if "vcs_info" in origin else ""
    return f"pip install 'jointmat[{extra}] @ {repository}{origin['url']}'"
