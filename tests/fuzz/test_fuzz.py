"""Mutated files give a result or the package's own error; a bounded number of them here, any by hand:

python -m tests.fuzz images 600
"""

import pytest

from jointmat.errors import JointmatError
from tests.fuzz.mutation import findings, mutated
from tests.fuzz.targets import targets

COUNT = {"images": 150, "cards": 100, "weights": 100, "onnx": 50, "videos": 50, "forms": 100}


@pytest.mark.parametrize("name", COUNT)
def test_mutations_are_read_or_refused(name):
    target = targets().get(name)
    if target is None:
        pytest.skip("needs another extra")
    found = list(findings(target.read, target.seeds, range(COUNT[name]), JointmatError))
    assert not found, found[0]


def test_a_mutation_is_made_again_by_its_number():
    seed = bytes(range(256))
    assert mutated(seed, 7) == mutated(seed, 7) != seed
    assert len({mutated(seed, number) for number in range(100)}) > 80


def test_what_is_not_the_packages_own_error_is_found():
    def target(data):
        if len(data) < 3:
            raise KeyError(data)

    found = list(findings(target, [b"abcd"], range(200), JointmatError))
    assert found
    assert all(isinstance(error, KeyError) and len(data) < 3 for _, data, error in found)
