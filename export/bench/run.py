"""Run the rounds and print the tables."""

import math
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from export.bench import worker
from export.bench.systems import Spec
from export.bench.worker import Task
from jointmat.assets import PORTRAIT
from jointmat.errors import JointmatError
from jointmat.evaluation.table import table
from jointmat.evaluation.timing import in_turns, least_and_median


@dataclass(frozen=True)
class Measurement:
    """One task on one system."""

    milliseconds: list[float]
    megabytes: float
    """the largest peak"""

    def __str__(self) -> str:
        return least_and_median(self.milliseconds)


Results = dict[tuple[str, Task], Measurement]
"""by the system's label and the task"""


class Worker:
    """A system in a process of its own."""

    def __init__(self, spec: Spec, threads: int):
        self._spec, self._threads = spec, threads
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))

    def do(self, task: Task) -> tuple[float, float]:
        """(milliseconds, peak megabytes) of one task.

        Raises
        ------
        JointmatError
            with the system's name, if it cannot be opened, or its process ended.
        """
        try:
            return self._pool.submit(worker.measure, self._spec, self._threads, task).result()
        except JointmatError as error:
            raise JointmatError(f"{self._spec.label}: {error}") from error
        except BrokenProcessPool as error:
            raise JointmatError(f"{self._spec.label}: benchmark worker exited; see its output above") from error

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def measure(specs: Sequence[Spec], tasks: Sequence[Task], threads: int, rounds: int) -> Results:
    """Every system does every task in every round. Small tasks first: a runtime keeps the memory it allocated."""
    results: Results = {}
    with ExitStack() as stack:
        workers = {spec.label: stack.enter_context(Worker(spec, threads)) for spec in specs}
        for task in tasks:
            does = {label: lambda task=task, w=w: w.do(task) for label, w in workers.items()}
            for label, found in in_turns(does, rounds, str(task[1])).items():
                milliseconds, megabytes = zip(*found, strict=True)
                results[label, task] = Measurement(list(milliseconds), max(megabytes))
    return results


def speed_table(specs: Sequence[Spec], tasks: dict[str, Task], results: Results, peak: float) -> str:
    """Milliseconds (least / median) and peak memory; for networks also the share of the machine's limit.

    Parameters
    ----------
    tasks : by the titles of their columns
    peak : of the machine, GMAC/s
    """
    rows = [["", *tasks, *(f"{name} MB" for name, task in tasks.items() if task[0] == "image")]]
    for spec in specs:
        row = [spec.label]
        for kind, value in tasks.values():
            found = results[spec.label, (kind, value)]
            row.append(f"{found}{_rate(spec, int(value), found, peak) if kind == 'network' else ''}")
        row += [f"{results[spec.label, task].megabytes:.0f}" for task in tasks.values() if task[0] == "image"]
        rows.append(row)
    return table(rows, "pipe")


def _rate(spec: Spec, size: int, found: Measurement, peak: float) -> str:
    rate = spec.gmac(size) / min(found.milliseconds) * 1e3
    return "" if math.isnan(rate) else f" ({rate:.0f} GMAC/s, {rate / peak:.0%})"


def curve(spec: Spec, tasks: dict[str, Task], results: Results) -> str:
    """Milliseconds (least / median) and peak memory of one system by image size."""
    rows = [["image", "ms least / median", "peak MB"]]
    for name, task in tasks.items():
        found = results[spec.label, task]
        rows.append([name.removeprefix("image "), str(found), f"{found.megabytes:.0f}"])
    return table(rows, "pipe")


def image_tasks(folder: Path, sizes: dict[str, tuple[int, int]]) -> dict[str, Task]:
    """The packaged portrait as JPEG files of (height, width), as tasks by "image NAME"."""
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
        tasks[f"image {name}"] = ("image", str(path))
    return tasks
