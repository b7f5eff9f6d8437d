"""From names on the command line to input images and output files."""

import glob
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jointmat.errors import InputError
from jointmat.io.atomic import printable

STANDARD = "-"
"""stdin, or stdout"""
IMAGES = frozenset(
    ".jpg .jpeg .jfif .png .webp .bmp .tif .tiff .gif .avif .heic .heif .pbm .pgm .pnm .ppm".split()  # noqa: SIM905
)
"""extensions of files that a folder is searched for"""
_WRITTEN = frozenset([".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff"])
_OPAQUE = frozenset([".jpg", ".jpeg"])
_VIDEOS = frozenset([".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"])


class Source(NamedTuple):
    """An image to read."""

    name: str
    """its path, or `STANDARD`"""
    root: str = ""
    """the folder from the command line that it was found in; empty for an image that was named itself"""


def find_sources(
    images: Sequence[str], output: str | None, *, recursive: bool
) -> tuple[list[Source], dict[str, Counter[str]]]:
    """Every image that the arguments name, folders opened, in sorted order.

    Parameters
    ----------
    output : where results go; a folder of that name is not searched

    Returns
    -------
    the images, and by folder how many files of which kind were skipped
    """
    sources: list[Source] = []
    left_out: dict[str, Counter[str]] = {}
    for name in itertools.chain.from_iterable(map(_expanded, images)):
        if not is_folder(name):
            _check_kind(name)
            sources.append(Source(name))
            continue
        left_out[name] = Counter()
        found = sorted(_images_in(name, output, recursive, left_out[name]))
        if not found:
            advice = "" if recursive else "; --recursive searches subfolders too"
            raise InputError(
                f"{printable(name)}: no images in this folder; expected {' '.join(sorted(IMAGES))}{advice}"
            )
        sources += [Source(path, name) for path in found]
    return sources, {name: counts for name, counts in left_out.items() if counts}


def split_output(images: Sequence[str], output: str | None) -> tuple[Sequence[str], str | None]:
    """Take `predict in.jpg out.png` as it is meant: the second is the output if it can be, and does not exist."""
    if output is None and len(images) == 2 and not os.path.lexists(images[1]):
        _, last = images
        if last.endswith(("/", os.sep)) or Path(last).suffix.lower() in _WRITTEN:
            return images[:1], last
    return images, output


def choose_targets(
    sources: Sequence[Source], output: str | None, extension: str, kind: str
) -> tuple[list[str], bool]:
    """One file per source.

    Parameters
    ----------
    output : the file itself for one image, or a folder: one that exists, a name that ends as a folder's, or any
        for images in folders, whose subfolders it mirrors; None for files beside the inputs
    extension : of files whose name is made here
    kind : what is written, "cutout" for example: part of the names of files beside the inputs

    Returns
    -------
    the files, and whether their folders may have to be made
    """
    if output == STANDARD:
        if len(sources) > 1:
            raise InputError(f"-o - goes with one image, got {len(sources)}")
        return [STANDARD], False
    if output is None:
        beside = [
            Path(f"{source.root.rstrip('/' + os.sep)}-{kind}") if source.root else Path(source.name).parent
            for source in sources
        ]
        endings = ["" if source.root else f"-{kind}" for source in sources]
        return _named(sources, beside, endings, extension), True
    folder = output.endswith(("/", os.sep)) or is_folder(output) or any(source.root for source in sources)
    if not folder and len(sources) == 1:
        if not Path(output).suffix:
            raise InputError(f"{printable(output)}: no extension; end it with .png, or with / for a folder")
        return [output], False
    if os.path.lexists(output) and not is_folder(output):
        raise InputError(f"{printable(output)}: is a file; several images need a folder to go to")
    if not output.endswith(("/", os.sep)) and not is_folder(output) and Path(output).suffix.lower() in _WRITTEN:
        raise InputError(f"{printable(output)}: a file name for {len(sources)} images; name a folder")
    several = len({source.root for source in sources if source.root}) > 1
    into = [Path(output) / (Path(source.root).name if several else "") for source in sources]
    return _named(sources, into, [""] * len(sources), extension), True


def check_targets(
    targets: Sequence[str], inputs: Iterable[str], *, transparent: bool, overwrite: bool, skip: bool = False
) -> None:
    """Check the outputs before the work starts.

    inputs : all files that are read
    transparent : the results have an alpha channel
    overwrite : what exists may be replaced, an input too
    skip : what exists is left as it is
    """
    from jointmat.io.write import check_extension

    real = {os.path.realpath(name) for name in inputs if name != STANDARD}
    existing = []
    for target in targets:
        if target == STANDARD:
            continue
        if os.path.realpath(target) in real and not (overwrite or skip):
            raise InputError(f"{printable(target)}: is an input; name another output, or add --overwrite")
        if transparent and Path(target).suffix.lower() in _OPAQUE:
            advice = "choose png, webp or tif, or add --background or --only-alpha"
            raise InputError(f"{printable(target)}: JPEG has no alpha: {advice}")
        check_extension(target)
        if os.path.lexists(target):
            existing.append(target)
    if existing and not (overwrite or skip):
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        there = "exist" if more else "exists"
        raise InputError(
            f"{printable(existing[0])}{more}: {there}; add --overwrite to replace, --skip-existing to keep"
        )


def is_folder(name: str) -> bool:
    """Whether a command-line argument names a folder."""
    return name != STANDARD and os.path.isdir(name)  # noqa: PTH112 (Path.is_dir raises for some names)


def _expanded(name: str) -> list[str]:
    """~ and patterns, where no shell has done it."""
    if name == STANDARD or os.path.lexists(name):
        return [name]
    home = os.path.expanduser(name)  # noqa: PTH111
    return sorted(glob.glob(home)) or [home]  # noqa: PTH207


def _check_kind(name: str) -> None:
    if "://" in name and not os.path.lexists(name):
        raise InputError(
            f"{printable(name)}: a URL; download it first, or pipe it: curl -L URL | jointmat predict -"
        )
    if Path(name).suffix.lower() in _VIDEOS:
        raise InputError(f"{printable(name)}: a video; use jointmat video")


def _images_in(folder: str, output: str | None, recursive: bool, left_out: Counter[str]) -> Iterator[str]:
    """Images by their extension; also folders that cannot be listed, which then count as failed."""
    unlisted: list[str] = []
    own = None if output in (None, STANDARD) else os.path.realpath(str(output))
    for parent, folders, names in os.walk(folder, onerror=lambda error: unlisted.append(error.filename)):
        folders[:] = [
            name
            for name in folders
            if recursive and not name.startswith(".") and os.path.realpath(Path(parent, name)) != own
        ]
        for path in (Path(parent, name) for name in names):
            if path.name.startswith("."):
                left_out["hidden"] += 1
            elif path.suffix.lower() not in IMAGES:
                left_out[path.suffix.lower() or "without extension"] += 1
            elif path.is_symlink():
                left_out["links"] += 1
            else:
                yield str(path)
    yield from unlisted


def _named(sources: Sequence[Source], into: Sequence[Path], endings: Sequence[str], extension: str) -> list[str]:
    """A file for every source: below its folder as the source is below its own."""
    places = [
        folder / Path(source.name).relative_to(source.root).parent if source.root else folder
        for source, folder in zip(sources, into, strict=True)
    ]
    stems = _stems([(place, _stem_of(source)) for place, source in zip(places, sources, strict=True)])
    return [
        str(place / f"{stem}{ending}.{extension}")
        for place, stem, ending in zip(places, stems, endings, strict=True)
    ]


def _stem_of(source: Source) -> Path:
    return Path("stdin") if source.name == STANDARD else Path(Path(source.name).name)


def _stems(names: Sequence[tuple[Path, Path]]) -> list[str]:
    """Names that are distinct in each folder: those that share a stem there keep their own extension too, and if
    need be get a number."""
    shared = Counter((folder, name.stem) for folder, name in names)
    taken: set[tuple[Path, str]] = set()
    stems = []
    for number, (folder, name) in enumerate(names, 1):
        stem = name.stem if shared[folder, name.stem] == 1 else name.name
        numbered = (f"{stem}-{n}" for n in itertools.count(number))
        # Some file systems do not tell A from a.
        stem = next(s for s in itertools.chain([stem], numbered) if (folder, s.casefold()) not in taken)
        taken.add((folder, stem.casefold()))
        stems.append(stem)
    return stems
