"""The cost of a whole job: a command that turns a folder of photos into cut-outs, from its start to its end."""

import contextlib
import csv
import multiprocessing
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from PIL import Image

from jointmat.assets import PORTRAIT
from jointmat.errors import JointmatError
from jointmat.evaluation.table import number, table, write_csv
from jointmat.evaluation.timing import in_turns
from jointmat.io.image import load_image

_NOISE = 2
"""standard deviation of a sensor's noise, levels: PNG of photos without any is much smaller"""
_QUALITY = 92
OURS = {
    f"jointmat {detail}": f"{shlex.quote(sys.executable)} -m jointmat predict {{images}} -o {{out}} -q "
    f"--detail {detail}"
    for detail in ("fine", "fast")
}


@dataclass(frozen=True)
class Folder:
    """Photos to make."""

    megapixels: float
    count: int

    def __str__(self) -> str:
        return f"{self.count} x {self.megapixels:g} MP"


@dataclass(frozen=True)
class Result:
    """The cost of a command on a folder with this many cores: medians over the rounds."""

    command: str
    folder: str
    cores: int
    images_per_second: float
    core_seconds: float
    """of an image"""
    share: float
    """of the cores that was in use"""
    peak_mb: float
    """of the largest process"""
    out_mb: float
    """of an image"""

    @property
    def per_core_hour(self) -> float:
        return 3600 * self.images_per_second / self.cores


def write_photos(folder: Path, wanted: Folder, sources: Sequence[Path]) -> None:
    """JPEGs of 4:3, upright or across as their sources are, which are enlarged and get a sensor's noise."""
    folder.mkdir()
    for i in range(wanted.count):
        image = load_image(sources[i % len(sources)])
        sides = sorted(round((wanted.megapixels * 1e6 * ratio) ** 0.5) for ratio in (3 / 4, 4 / 3))
        height, width = sides if image.shape[1] > image.shape[0] else sides[::-1]
        scale = max(height / image.shape[0], width / image.shape[1])
        size = max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        left = (size[0] - width) // 2
        noise = np.random.default_rng(i).normal(0, _NOISE, (height, width, 3)).astype(np.float32)
        noisy = np.clip(np.rint(image[:height, left : left + width] + noise), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{i:03}.jpg", quality=_QUALITY)


def sources(data: Path | None) -> list[Path]:
    """Images of a folder, or the packaged portrait."""
    return sorted(path for path in data.iterdir() if path.is_file()) if data else [Path(PORTRAIT)]


def measure(
    commands: dict[str, str], folder: Folder, images: Sequence[Path], cores: int, rounds: int
) -> list[Result]:
    """Run every command on a folder, in turns."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        # In a process of its own: the system counts what a parent had at a command's start to the command's peak.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            pool.submit(write_photos, scratch / "images", folder, images).result()
        runs = {label: lambda label=label: _run(label, commands[label], scratch, cores) for label in commands}
        found = in_turns(runs, rounds, str(folder))
    results = []
    for label, measured in found.items():
        wall, cpu, peak, written = (median(column) for column in zip(*measured, strict=True))
        n = folder.count
        results.append(
            Result(label, str(folder), cores, n / wall, cpu / n, cpu / wall / cores, peak, written / n)
        )
    return results


def _run(label: str, command: str, scratch: Path, cores: int) -> tuple[float, float, float, float]:
    """Seconds, those of all cores, the peak and what was written in MB, of one run on the first `cores` cores."""
    with tempfile.TemporaryDirectory(dir=scratch) as out:
        words = [word.format(images=scratch / "images", out=out) for word in shlex.split(command)]
        own = os.sched_getaffinity(0)
        chosen = sorted(own)[:cores]
        start = time.perf_counter()
        os.sched_setaffinity(0, chosen)
        # ONNX Runtime binds threads to all cores of the machine where nobody tells it how many to use.
        env = {**os.environ, "OMP_NUM_THREADS": str(cores)}
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env
            )
        finally:
            os.sched_setaffinity(0, own)
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            last = (said.decode(errors="replace").strip().splitlines() or [""])[-1]
            raise JointmatError(f"{label}: exited with {process.returncode}: {last}")
        written = sum(path.stat().st_size for path in Path(out).rglob("*") if path.is_file())
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6, written / 1e6


def kept(path: Path, new: Sequence[Result]) -> list[Result]:
    """All results: those of earlier calls in a CSV file, but for what was measured again, then the new ones."""
    kinds = {field.name: field.type for field in fields(Result)}
    old: list[Result] = []
    with contextlib.suppress(FileNotFoundError):
        for row in csv.DictReader(path.read_text().splitlines()):
            old.append(Result(**{name: kind(row[name]) for name, kind in kinds.items()}))  # type: ignore[operator]
    again = {(result.folder, result.cores, result.command) for result in new}
    both = [result for result in old if (result.folder, result.cores, result.command) not in again]
    return sorted([*both, *new], key=lambda result: (result.folder, result.cores))


def write(output: Path, results: Sequence[Result], machine: str) -> str:
    """The table, which is also written to `table.md`, with `table.csv` and `plot.png`."""
    output.mkdir(parents=True, exist_ok=True)
    names = [field.name for field in fields(Result)]
    write_csv(output / "table.csv", [names, *(list(asdict(result).values()) for result in results)])
    cells = [_cells(result) for result in results]
    text = table([list(cells[0]), *(list(row.values()) for row in cells)], "pipe")
    (output / "table.md").write_text(f"{machine}\n\n{text}\n")
    _plot(output / "plot.png", results)
    return text


def _cells(result: Result) -> dict[str, str]:
    """A row of the table, by the titles of its columns."""
    return {
        "": result.command,
        "photos": result.folder,
        "cores": str(result.cores),
        "photos/s": number(result.images_per_second, 2),
        "core-seconds a photo": number(result.core_seconds, 2),
        "cores in use": f"{result.share:.0%}",
        "photos per core-hour": number(result.per_core_hour, 0),
        "peak MB": number(result.peak_mb, 0),
        "MB out": number(result.out_mb, 2),
    }


def _plot(path: Path, results: Sequence[Result]) -> None:
    from matplotlib.figure import Figure

    from jointmat.evaluation.plot import save_plot

    places = list(dict.fromkeys((r.folder, r.cores) for r in results))
    commands = list(dict.fromkeys(r.command for r in results))
    figure = Figure(figsize=(10, 1.2 + 0.22 * len(results)), layout="constrained")
    for axes, name, title, form in zip(
        figure.subplots(1, 2, sharey=True),
        ("images_per_second", "peak_mb"),
        ("photos per second", "peak memory, MB"),
        ("{:.2f}", "{:,.0f}"),
        strict=True,
    ):
        height = 0.8 / len(commands)
        for i, command in enumerate(commands):
            mine = [r for r in results if r.command == command]
            at = [places.index((r.folder, r.cores)) + i * height for r in mine]
            bars = axes.barh(at, [getattr(r, name) for r in mine], height, label=command)
            axes.bar_label(bars, fmt=form, padding=2, fontsize=7)
        axes.set_title(title)
        axes.set_yticks([i + 0.4 - height / 2 for i in range(len(places))])
        axes.set_yticklabels([f"{folder}, {cores} core{'s' * (cores > 1)}" for folder, cores in places])
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.12)
        axes.invert_yaxis()
    figure.axes[0].invert_yaxis()
    figure.axes[0].legend(fontsize=8)
    save_plot(path, figure)
