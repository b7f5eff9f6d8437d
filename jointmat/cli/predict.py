"""`jointmat predict`."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from jointmat.cli import options as shared
from jointmat.cli.errors import SomeFailed, standard
from jointmat.cli.files import (
    STANDARD,
    Source,
    check_targets,
    choose_targets,
    find_sources,
    is_folder,
    split_output,
)
from jointmat.cli.options import Command, grouped
from jointmat.errors import InputError, JointmatError
from jointmat.io.atomic import printable

if TYPE_CHECKING:
    import numpy as np

    from jointmat.compositing import BackgroundSource
    from jointmat.matte import Matte
    from jointmat.predictor import Predictor

_MOST_OF_STDIN = 1 << 29
_files, _output, _subject, _run_options = map(grouped, ("Files", "Result", "Subject", "Run"))


@dataclass
class Wanted:
    """The outputs to make of a matte."""

    only_alpha: bool
    background: "BackgroundSource | None"
    ways: dict[str, Any]
    """of compositing"""
    method: Any
    """that cleans edge colours"""
    invert: bool
    crop: bool
    margin: int
    edge: dict[str, Any]
    """shift and feather"""

    def __call__(self, matte: "Matte") -> "np.ndarray":
        from jointmat.io.arrays import to_uint8

        if self.invert:
            matte = matte.inverted()
        if any(self.edge.values()):
            matte = matte.adjust_edge(**self.edge)
        if self.crop:
            matte = matte.crop(self.margin)
        if self.only_alpha:
            return to_uint8(matte.alpha)
        if self.background is None:
            return matte.cutout(self.method)
        return matte.composite(self.background, method=self.method, **self.ways)


class Job(NamedTuple):
    """An image, and where its result goes."""

    source: str
    image: str | bytes | JointmatError
    """a path, what was read from stdin, or why there is nothing"""
    target: str


class Done(NamedTuple):
    """How a job ended."""

    job: Job
    seconds: float
    is_empty: bool = False
    error: Exception | None = None


@dataclass
class Report:
    """Says on stderr what happens: errors at any verbosity, warnings and the sum from 0, every file from 1."""

    verbosity: int
    written: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    start: float = field(default_factory=time.perf_counter)

    def say(self, text: str, at: int = 0) -> None:
        """Print a line, from a verbosity on."""
        from tqdm import tqdm

        if self.verbosity >= at:
            tqdm.write(text, file=sys.stderr)

    def left_out(self, folders: "Mapping[str, Mapping[str, int]]") -> None:
        """Print which files in the folders were skipped."""
        for folder, counts in folders.items():
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
            self.say(f"{printable(folder)}: skipped {kinds}")

    def done(self, done: Done) -> None:
        name, target = printable(done.job.source), printable(done.job.target)
        if done.error:
            self.failed.append(done.job.source)
            what = str(done.error) if isinstance(done.error, JointmatError) else _unexpected(name, done.error)
            self.say(f"error: {what}", -1)
            return
        self.written.append(done.job.target)
        if done.is_empty:
            self.say(f"warning: {name}: no person found; the result is empty")
        self.say(f"wrote {target} ({done.seconds:.2f} s)", 1)

    def sum(self, skipped: int = 0) -> None:
        """Print the number of files and the time."""
        seconds = time.perf_counter() - self.start
        left = f", kept {skipped} existing" if skipped else ""
        if len(self.written) == 1 and not skipped:
            if self.written[0] != STANDARD:
                self.say(f"wrote {printable(self.written[0])} in {seconds:.1f} s")
        elif self.written:
            places = sorted({str(Path(name).parent) for name in self.written})
            place = printable(places[0]) if len(places) == 1 else f"{len(places)} folders"
            self.say(f"wrote {len(self.written)} images to {place} in {seconds:.1f} s{left}")
        elif skipped:
            self.say(f"nothing to do: all {skipped} results exist")


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path())
@_files(
    "-o",
    "--output",
    type=click.Path(),
    show_default="beside the input, as NAME-cutout.png for example",
    help="File for one image, folder for several; - writes to stdout.",
)
@_files("--recursive", is_flag=True, help="Also take images in subfolders; the output folder mirrors them.")
@_files("--overwrite", is_flag=True, help="Replace files that exist, inputs too.")
@_files("--skip-existing", is_flag=True, help="Keep results that exist: resumes a batch.")
@_files(
    "--format",
    "extension",
    type=click.Choice(["png", "webp", "jpg", "tif"], case_sensitive=False),
    default="png",
    help="File format where --output does not name a file.",
)
@_files(
    "--quality",
    type=click.IntRange(1, 100),
    show_default="95 for JPEG, lossless WebP",
    help="JPEG and WebP quality.",
)
@_files("--max-pixels", type=click.IntRange(min=1), show_default="8192·6144", help="Refuse larger images.")
@shared.background("An image, a colour such as white or #1e90ff, or blur; without it, a transparent cut-out")
@_output("--only-alpha", is_flag=True, help="Write the matte itself, as a grey image.")
@_output("--invert", is_flag=True, help="Keep the background instead of the people.")
@_output("--crop", is_flag=True, help="Crop the result to the subject.")
@_output("--margin", type=click.IntRange(min=0), help="Pixels to keep around a cropped subject.")
@_output("--shift", type=int, default=0, help="Grow (or shrink, if negative) the edge by this many pixels.")
@_output("--feather", type=click.FloatRange(min=0), default=0.0, help="Soften the edge by this many pixels.")
@_output("--foreground", type=click.Choice(["fast", "ml"]), default="fast", help="Method for clean edge colours.")
@shared.subject
@_subject("--trimap", help="Grey image (0, 128, 255) that replaces the predicted trimap; one image only.")
@shared.model
@shared.backend
@shared.device
@shared.precision
@shared.detail
@shared.max_side("512, then 2048")
@_run_options(
    "--jobs",
    type=click.IntRange(min=1),
    show_default="one per core",
    help="Images processed in parallel.",
)
@shared.verbosity
def predict(images: tuple[str, ...], output: str | None, quiet: bool, verbose: bool, **options: Any) -> None:
    """Cut people out of images.

    IMAGE is an image, a folder of images, or - for stdin. Links and hidden files in a folder are left out. Ctrl-C
    leaves finished files; --skip-existing resumes.
    """
    report = Report(-1 if quiet else int(verbose))
    jobs, skipped = _jobs(images, output, options, report)
    make = _wanted(options)
    if jobs:
        _work_through(jobs, make, options, report)
    report.sum(skipped)
    if report.failed:
        names = ", ".join(map(printable, report.failed[:5]))
        raise SomeFailed(f"{len(report.failed)} of {len(jobs)} images failed: {names}")


def _jobs(
    images: tuple[str, ...], output: str | None, options: Mapping[str, Any], report: Report
) -> tuple[list[tuple[Source, str]], int]:
    """Sources with their targets, all checked, and how many are there already."""
    if options["only_alpha"] and options["background"] is not None:
        raise InputError("--only-alpha and --background exclude each other; choose one")
    if options["margin"] is not None and not options["crop"]:
        raise InputError("--margin needs --crop")
    named, output = split_output(images, output)
    if output is None and STANDARD in named:
        output = STANDARD if len(named) == 1 and not _is_terminal() else None
        if output is None:
            raise InputError("stdin: name an output with -o FILE, or -o - for stdout")
    sources, left_out = find_sources(named, output, recursive=options["recursive"])
    report.left_out(left_out)
    if options["trimap"] and len(sources) != 1:
        raise InputError(f"--trimap goes with one image, got {len(sources)}")
    kind = "alpha" if options["only_alpha"] else "cutout" if options["background"] is None else "composite"
    targets, in_folders = choose_targets(sources, output, options["extension"].lower(), kind)
    files = [options["trimap"], options["background"]]
    check_targets(
        targets,
        [*(source.name for source in sources), *(name for name in files if name)],
        transparent=kind == "cutout",
        overwrite=options["overwrite"],
        skip=options["skip_existing"],
    )
    if options["quality"] and any(Path(name).suffix.lower() in (".png", ".tif", ".tiff") for name in targets):
        raise InputError("--quality: PNG and TIFF are lossless; it goes with .jpg or .webp")
    pairs = list(zip(sources, targets, strict=True))
    if options["skip_existing"]:
        pairs = [
            (source, target) for source, target in pairs if target == STANDARD or not os.path.lexists(target)
        ]
    if in_folders:
        for folder in {Path(target).parent for _, target in pairs}:
            folder.mkdir(parents=True, exist_ok=True)
    return pairs, len(targets) - len(pairs)


def _work_through(
    pairs: list[tuple[Source, str]], make: Wanted, options: Mapping[str, Any], report: Report
) -> None:
    """Make every result. The error of a single image is raised; those of several are collected."""
    from tqdm import tqdm

    from jointmat.parallel import default_jobs, in_order
    from jointmat.subject import parse_subject

    subject = parse_subject(options["subject"])
    jobs = min(options["jobs"] or default_jobs(), len(pairs))
    predictor = _predictor(options, jobs)

    def work(job: Job) -> Done:
        from jointmat.memory import enough_memory

        start = time.perf_counter()
        if isinstance(job.image, Exception):
            raise job.image
        with enough_memory(printable(job.source)):
            chosen = {"trimap": options["trimap"], "fill_holes": options["fill_holes"]}
            matte = predictor.matte(job.image, subject=subject, **chosen)
            _write(job.target, make(matte), matte.dpi, options)
        return Done(job, time.perf_counter() - start, matte.is_empty)

    def attempt(job: Job) -> Done:
        try:
            return work(job)
        except Exception as error:  # noqa: BLE001 (whatever it is, it belongs to this image alone)
            return Done(job, 0, error=error)

    if len(pairs) == 1:
        report.done(work(next(_read(pairs))))
        return
    bar = tqdm(
        total=len(pairs), disable=True if report.verbosity < 0 else None, unit="image"
    )  # None: no terminal
    try:
        with bar:
            for done in in_order(attempt, _read(pairs), jobs, _pixels):
                report.done(done)
                bar.update()
    except KeyboardInterrupt:
        report.say(f"{len(report.written)} of {len(pairs)} images written; --skip-existing resumes")
        raise


def _read(pairs: Iterable[tuple[Source, str]]) -> Iterator[Job]:
    """Jobs, with what only one thread may read."""
    for (name, _), target in pairs:
        image: str | bytes | JointmatError = name
        if name == STANDARD:
            try:
                image = _standard_input()
            except JointmatError as error:
                image = error
        elif is_folder(name):
            image = InputError(f"{printable(name)}: this folder cannot be listed")
        yield Job(name, image, target)


def _pixels(job: Job) -> int:
    from jointmat.io.image import pixels_of

    return 0 if isinstance(job.image, Exception) else pixels_of(job.image)


def _standard_input() -> bytes:
    data = standard("stdin").read(_MOST_OF_STDIN + 1)
    if len(data) > _MOST_OF_STDIN:
        raise InputError(f"stdin: more than {_MOST_OF_STDIN} bytes; pass the image as a file")
    return data


def _predictor(options: Mapping[str, Any], jobs: int) -> "Predictor":
    import cv2

    from jointmat.parallel import default_jobs
    from jointmat.predictor import Predictor

    threads = None
    if jobs > 1:  # the images share the cores: threads for each of them would only get in each other's way
        cv2.setNumThreads(1)
        threads = max(1, default_jobs() // jobs)
    chosen = {name: options[name] for name in ("model", "backend", "device", "precision", "detail", "max_side")}
    return Predictor(**chosen, max_pixels=_max_pixels(options), threads=threads)


def _max_pixels(options: Mapping[str, Any]) -> int:
    from jointmat.io.limits import DEFAULT_MAX_PIXELS

    return options["max_pixels"] or DEFAULT_MAX_PIXELS


def _wanted(options: Mapping[str, Any]) -> Wanted:
    """The result as the options ask for it; a new background is read once for all images."""
    from jointmat.compositing import BLUR, color_of
    from jointmat.io.image import load_image

    text = options["background"]
    limit = _max_pixels(options)
    behind: BackgroundSource | None = text
    if text is not None and text != BLUR:
        behind = color_of(text) or load_image(text, max_pixels=limit)
    return Wanted(
        options["only_alpha"],
        behind,
        {"fit": options["fit"], "light": options["light"], "max_pixels": limit},
        options["foreground"],
        options["invert"],
        options["crop"],
        options["margin"] or 0,
        {"shift": options["shift"], "feather": options["feather"]},
    )


def _write(target: str, array: "np.ndarray", dpi: tuple[float, float] | None, options: Mapping[str, Any]) -> None:
    from jointmat.io.write import encode_image, save_image

    if target != STANDARD:
        save_image(target, array, dpi=dpi, quality=options["quality"])
        return
    data = encode_image(array, options["extension"].lower(), dpi=dpi, quality=options["quality"])
    stdout = standard("stdout")
    stdout.write(data)
    stdout.flush()


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _unexpected(name: str, error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{name}: {type(error).__name__}: {text}"
