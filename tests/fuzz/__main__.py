"""`python -m tests.fuzz TARGET SECONDS [START]`: look for inputs that end in an error of another package."""

import sys
from pathlib import Path

from jointmat.errors import JointmatError
from tests.fuzz.mutation import findings, numbers_for
from tests.fuzz.targets import targets

if __name__ == "__main__":
    name, seconds, *start = sys.argv[1:]
    target = targets()[name]
    found = 0
    numbers = numbers_for(float(seconds), int(start[0]) if start else 0)
    for number, data, error in findings(target.read, target.seeds, numbers, JointmatError):
        path = Path(f"fuzz-{name}-{number}")
        path.write_bytes(data)
        print(f"{path}: {type(error).__name__}: {error}")
        found += 1
    sys.exit(bool(found))
