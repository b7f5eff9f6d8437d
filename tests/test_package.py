"""The package as a namespace."""

import pytest

import jointmat
from jointmat import errors


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(jointmat, "nothing")
    with pytest.raises(AttributeError, match="module 'jointmat' has no attribute 'nothing'"):
        _ = jointmat.nothing


def test_every_error_has_one_base_and_the_builtin_that_fits():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, (jointmat.JointmatError, UserWarning)) for kind in kinds)
    assert issubclass(errors.ImageError, ValueError) and issubclass(errors.InputTypeError, TypeError)
    assert issubclass(errors.DependencyError, ImportError)
