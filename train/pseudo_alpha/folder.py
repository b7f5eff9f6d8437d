"""A folder of pseudo-alphas beside the data that they were made from, item by item, in several processes."""

import csv
import io
import json
import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
from tqdm import tqdm

from jointmat.errors import InputError, JointmatError
from jointmat.io.arrays import to_uint8
from jointmat.io.atomic import atomic_write
from jointmat.io.image import load_image
from jointmat.io.write import save_image
from jointmat.manifest import Item, Kind, check_names, read_manifest
from train.pseudo_alpha.matting import PseudoSettings, pseudo_alpha

SPLIT = "pseudo"
_FIELDS = ("id", "split", "source", "licence", "kind", "image", "label", "trimap", "weight", "width", "height")
_PATHS = ("image", "label", "trimap", "weight")


@dataclass(frozen=True)
class Job:
    """One mask and where its results go."""

    item: Item
    alpha: Path
    weight: Path


def make(items: Sequence[Item], folder: Path, settings: PseudoSettings, workers: int) -> dict[Item, str]:
    """Write FOLDER/alpha/NAME.png and FOLDER/weight/NAME.png for the items that have none yet.

    Returns the items that could not be done, and why.
    """
    check_names(items)
    _check_settings(folder, settings)
    for job in (jobs := [_job(folder, item) for item in items]):
        job.alpha.parent.mkdir(exist_ok=True)
        job.weight.parent.mkdir(exist_ok=True)
    missing = [job for job in jobs if not (job.alpha.is_file() and job.weight.is_file())]
    failures: dict[Item, str] = {}
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
    try:
        running = {pool.submit(work, job, settings): job for job in missing}
        for done in tqdm(as_completed(running), total=len(running), unit="mask", disable=None):
            if problem := done.result():
                failures[running[done].item] = problem
    except BrokenExecutor as error:
        raise JointmatError("a worker was killed, most likely for want of memory: use fewer --workers") from error
    finally:
        pool.shutdown(cancel_futures=True)
    return failures


def work(job: Job, settings: PseudoSettings) -> str:
    """Do one item; what is wrong with it, or nothing."""
    try:
        image, mask = load_image(job.item.image), job.item.alpha() >= 0.5
        result = pseudo_alpha(image, mask, settings)
        save_image(job.alpha, to_uint8(result.alpha))
        save_image(job.weight, to_uint8(result.confidence))
    except (JointmatError, ValueError, OSError) as error:  # ValueError: pymatting, of a system it cannot solve
        return str(error)
    return ""


def write_manifest(data: Path, items: Sequence[Item], folder: Path) -> int:
    """FOLDER/manifest.csv: everything that the data's own manifest lists, by reference, and the pseudo-alphas.

    So FOLDER can be trained on like any data folder, as long as both stay where they are to each other. Returns
    the number of pseudo-alphas.
    """
    jobs = [_job(folder, item) for item in items]
    done = [job for job in jobs if job.alpha.is_file() and job.weight.is_file()]
    text = io.StringIO()
    rows = csv.DictWriter(text, _FIELDS, restval="", extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    with (data / "manifest.csv").open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            rows.writerow(row | {k: _relative(data / row[k], folder) for k in _PATHS if row.get(k)})
    rows.writerows(_row(job, folder) for job in done)
    with atomic_write(folder / "manifest.csv") as file:
        file.write(text.getvalue().encode())
    return len(done)


def coarse_items(data: Path, splits: Sequence[str], sources: Sequence[str]) -> list[Item]:
    """The mask-labelled items; InputError if there are none."""
    items = [item for item in read_manifest(data, splits, sources) if item.kind is Kind.MASK and item.label]
    if not items:
        raise InputError(f"{data}: no item of kind mask in splits {', '.join(splits)}")
    return items


def _check_settings(folder: Path, settings: PseudoSettings) -> None:
    """Results of other settings must not be mixed."""
    folder.mkdir(parents=True, exist_ok=True)
    path, text = folder / "settings.json", json.dumps(asdict(settings), indent=2) + "\n"
    if not path.exists():
        with atomic_write(path) as file:
            file.write(text.encode())
    elif path.read_text(encoding="utf-8") != text:
        raise InputError(f"{folder}: was made with other settings, see {path}; choose another folder")


def _job(folder: Path, item: Item) -> Job:
    return Job(item, folder / "alpha" / f"{item.name}.png", folder / "weight" / f"{item.name}.png")


def _row(job: Job, folder: Path) -> dict[str, str]:
    return {
        "id": f"{SPLIT}_{job.item.name}",
        "split": SPLIT,
        "source": job.item.source,
        "licence": job.item.licence,
        "kind": Kind.ALPHA,
        "image": _relative(job.item.image, folder),
        "label": _relative(job.alpha, folder),
        "weight": _relative(job.weight, folder),
    }


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which tells the workers
    cv2.setNumThreads(1)
