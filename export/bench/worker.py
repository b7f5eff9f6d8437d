"""The process of one system: it reads tasks as lines of JSON, does each twice, and answers
how long the second took, in milliseconds, and its largest memory in megabytes; or, as text, what is wrong.

`python -m export.bench.worker '{"label": …}' THREADS`; a task is ["network", 512] or ["photo", "path"].
"""

import json
import resource
import sys
import time
from pathlib import Path

import cv2

from export.bench.systems import Spec, System, Work
from jointmat.errors import JointmatError

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main(spec: str, threads: str) -> None:
    try:
        work(spec, threads)
    except JointmatError as error:
        print(json.dumps(str(error)), flush=True)


def work(spec: str, threads: str) -> None:
    """Every task of stdin."""
    cv2.setNumThreads(int(threads))
    system = System(Spec(**json.loads(spec)), int(threads))
    works: dict[str, Work] = {}
    for line in sys.stdin:
        if line not in works:
            kind, value = json.loads(line)
            works[line] = getattr(system, kind)(value)
        works[line]()  # the caches hold what another system left there
        _reset_peak()
        start = time.perf_counter()
        works[line]()
        milliseconds = (time.perf_counter() - start) * 1e3
        print(json.dumps([milliseconds, _peak()]), flush=True)


def _reset_peak() -> None:
    if _RESET.exists():
        _RESET.write_text("5")


def _peak() -> float:
    """Largest resident memory since the reset, MB; where the system knows none, since the start."""
    if _STATUS.exists():
        lines = dict(line.partition(":")[::2] for line in _STATUS.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes, on macOS


if __name__ == "__main__":
    main(*sys.argv[1:])
