"""Run the rounds and print the tables."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from export.bench.systems import Spec
from export.text import table
from jointmat.assets import PORTRAIT
from jointmat.errors import JointmatError

Task = tuple[str, Any]
"""("network", side in pixels) or ("photo", path)"""


@dataclass
class Measurement:
    """Of one task on one system with one number of threads."""

    milliseconds: list[float] = field(default_factory=list)
    megabytes: float = 0.0

    def __str__(self) -> str:
        return f"{min(self.milliseconds):.0f} / {median(self.milliseconds):.0f}"


Results = dict[tuple[str, Task], Measurement]


class Worker:
    """A system in a process of its own."""

    def __init__(self, spec: Spec, threads: int):
        self.spec = spec
        command = [sys.executable, "-m", "export.bench.worker", json.dumps(asdict(spec)), str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, task: Task) -> tuple[float, float]:
        """(milliseconds, peak megabytes) of one task."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(json.dumps(task), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise JointmatError(f"{self.spec.label}: its process ended; what it said stands above")
        found = json.loads(answer)
        if isinstance(found, str):
            raise JointmatError(f"{self.spec.label}: {found}")
        milliseconds, megabytes = found
        return milliseconds, megabytes

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def measure(specs: Sequence[Spec], tasks: Sequence[Task], threads: int, rounds: int) -> Results:
    """Every system does every task in every round, in turns, so that all see the same machine."""
    results: Results = {(s.label, t): Measurement() for s in specs for t in tasks}
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(spec, threads)) for spec in specs]
        for number, task, worker in tqdm(list(_schedule(workers, tasks, rounds)), disable=None, unit="run"):
            milliseconds, megabytes = worker.do(task)
            measurement = results[worker.spec.label, task]
            measurement.megabytes = max(measurement.megabytes, megabytes)
            if number:  # the first round takes the memory that the later ones use again
                measurement.milliseconds.append(milliseconds)
    return results


def _schedule(
    workers: Sequence[Worker], tasks: Sequence[Task], rounds: int
) -> Iterator[tuple[int, Task, Worker]]:
    """Small tasks first, because a runtime keeps the memory that it has taken."""
    for task in tasks:
        for number in range(rounds + 1):
            for worker in workers:
                yield number, task, worker


def speed_table(specs: Sequence[Spec], tasks: dict[str, Task], results: Results, peak: float) -> str:
    """Milliseconds (least / median) and peak memory; for networks also the share of the machine's limit.

    Parameters
    ----------
    tasks : by the titles of their columns
    peak : of the machine, GMAC/s
    """
    rows = [["", *tasks, *(f"{name} MB" for name, task in tasks.items() if task[0] == "photo")]]
    for spec in specs:
        row = [spec.label]
        for task in tasks.values():
            measurement = results[spec.label, task]
            row.append(
                str(measurement) + (_reached(spec, task[1], measurement, peak) if task[0] == "network" else "")
            )
        row += [f"{results[spec.label, task].megabytes:.0f}" for task in tasks.values() if task[0] == "photo"]
        rows.append(row)
    return table(rows)


def _reached(spec: Spec, size: int, measurement: Measurement, peak: float) -> str:
    rate = spec.gmac(size) / min(measurement.milliseconds) * 1e3
    return "" if math.isnan(rate) else f" ({rate:.0f} GMAC/s, {rate / peak:.0%})"


def curve(spec: Spec, tasks: dict[str, Task], results: Results) -> str:
    """Milliseconds (least / median) and peak memory of one system by the photo's size."""
    rows = [["photo", "ms least / median", "peak MB"]]
    for name, task in tasks.items():
        measurement = results[spec.label, task]
        rows.append([name.removeprefix("photo "), str(measurement), f"{measurement.megabytes:.0f}"])
    return table(rows)


def photo_tasks(folder: Path, sizes: dict[str, tuple[int, int]]) -> dict[str, Task]:
    """The portrait of the package as JPEG files of (height, width), as tasks by "photo NAME"."""
    import cv2

    from jointmat.io.image import load_image
    from jointmat.io.write import save_image

    portrait = load_image(PORTRAIT)
    tasks: dict[str, Task] = {}
    for name, (height, width) in sizes.items():
        rows = round(portrait.shape[1] * height / width)
        crop = portrait[: min(rows, portrait.shape[0])]
        path = folder / f"{name}.jpg"
        save_image(path, cv2.resize(crop, (width, height), interpolation=cv2.INTER_CUBIC))
        tasks[f"photo {name}"] = ("photo", str(path))
    return tasks
