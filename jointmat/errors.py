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
    """A file or a byte string that is not a readable picture."""


class ImageTooLarge(ImageError):
    """A picture with more pixels than the limit allows."""


class WeightsError(JointmatError):
    """A weights file that is missing, damaged, unsafe, or made for another model."""


class ExportError(JointmatError):
    """An exported file that cannot be made, or does not agree with the model it came from."""


class DeviceError(JointmatError):
    """A device or execution provider that was asked for and is not there, or ran out of memory."""


class ConfigError(InputError):
    """A configuration with an unknown key, a wrong type or contradictory values."""


class TrainingError(JointmatError):
    """A training run that cannot go on."""


class VideoError(JointmatError):
    """A video that cannot be read or written."""


class DependencyError(JointmatError, ImportError):
    """An optional package that this call needs is not installed."""


class JointmatWarning(UserWarning):
    """Something in the input was ignored or repaired; the result is still valid."""
