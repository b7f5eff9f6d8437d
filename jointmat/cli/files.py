"""From names on the command line to the pictures that they mean, and to the files that results go to."""

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from jointmat.errors import InputError
from jointmat.io.atomic import printable

STANDARD = "-"
"""stdin, or stdout"""
_EXTENSIONS = frozenset(
    [".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".pbm", ".pgm", ".pnm", ".ppm"]
)
_OPAQUE = {".jpg", ".jpeg"}


def find_sources(images: tuple[str, ...], recursive: bool) -> Iterator[str]:
    """Every picture that the arguments name, folders opened, in sorted order."""
    for name in images:
        if not is_folder(name):
            yield name
            continue
        found = sorted(_pictures_in(name, recursive))
        if not found:
            expected = " ".join(sorted(_EXTENSIONS))
            raise InputError(f"{printable(name)}: no pictures in this folder; expected {expected}")
        yield from found


def choose_targets(sources: list[str], images: tuple[str, ...], output: str, extension: str) -> list[str]:
    """One file per source: the output itself for one picture, or files in it, a folder that exists, or is made
    for several pictures or where the name ends as a folder's."""
    if output == STANDARD:
        if len(sources) > 1:
            raise InputError(f"-o - goes with one image, got {len(sources)}")
        return [STANDARD]
    folders = output.endswith(("/", os.sep)) or any(map(is_folder, (*images, output)))
    if len(sources) == 1 and not folders:
        return [output]
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{printable(output)}: is a file; several pictures need a folder to go to")
    folder.mkdir(parents=True, exist_ok=True)
    return [str(folder / f"{stem}.{extension}") for stem in _stems(sources)]


def check_targets(targets: list[str], inputs: Iterable[str], *, transparent: bool, overwrite: bool) -> None:
    """Refuse before the work what would be refused after it, or do harm.

    inputs : all files that are read
    transparent : the results have an alpha channel
    overwrite : an input may be replaced
    """
    from jointmat.io.write import check_extension

    real = {os.path.realpath(name) for name in inputs if name != STANDARD}
    for target in targets:
        if target == STANDARD:
            continue
        if os.path.realpath(target) in real and not overwrite:
            raise InputError(f"{printable(target)}: is an input; name another output, or add --overwrite")
        if transparent and Path(target).suffix.lower() in _OPAQUE:
            advice = "choose png, webp or tif, or add --background or --only-alpha"
            raise InputError(f"{printable(target)}: JPEG has no alpha: {advice}")
        check_extension(target)


def is_folder(name: str) -> bool:
    """Whether a name from the command line is that of a folder."""
    return name != STANDARD and os.path.isdir(name)  # noqa: PTH112 (Path.is_dir raises for some names)


def _pictures_in(folder: str, recursive: bool) -> Iterator[str]:
    """Pictures by their extension; also folders that cannot be listed, so that they count as failed."""
    unlisted: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=lambda error: unlisted.append(error.filename)):
        if not recursive:
            folders.clear()
        paths = [Path(parent, name) for name in names]
        yield from (str(path) for path in paths if path.suffix.lower() in _EXTENSIONS and not path.is_symlink())
    yield from unlisted


def _stems(sources: list[str]) -> list[str]:
    """Distinct names: those that share a stem keep their own extension too, and if need be get their number."""
    names = [Path("stdin") if source == STANDARD else Path(source) for source in sources]
    shared = Counter(name.stem for name in names)
    stems: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        stem = name.stem if shared[name.stem] == 1 else name.name
        numbered = (f"{stem}-{n}" for n in itertools.count(number))
        stem = next(s for s in itertools.chain([stem], numbered) if s.casefold() not in stems)
        stems[stem.casefold()] = stem  # some file systems do not tell A from a
    return list(stems.values())
