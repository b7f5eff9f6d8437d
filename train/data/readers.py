"""Data sets by name: whatever their folders are called, they become items."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from jointmat.errors import ConfigError, InputError
from jointmat.evaluation.manifest import Item, Kind, is_named, read_manifest

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


class Layout(NamedTuple):
    """Folder layout of a data set. Folders are patterns below its root, of which the first that exists counts;
    {split} is replaced by the split's name. Files with the same stem belong together."""

    kind: Kind
    images: tuple[str, ...]
    labels: tuple[str, ...] = ()
    trimaps: tuple[str, ...] = ()


LAYOUTS: dict[str, Layout] = {
    # one's own material
    "pairs": Layout(Kind.ALPHA, ("images", "image"), ("alphas", "alpha"), ("trimaps", "trimap")),
    "masks": Layout(Kind.MASK, ("images", "image"), ("masks", "mask")),
    "cutouts": Layout(Kind.CUTOUT, (".",)),
    "backgrounds": Layout(Kind.BACKGROUND, (".",)),
    # published data sets
    "composition1k": Layout(Kind.CUTOUT, ("Training_set/*/fg",), ("Training_set/*/alpha",)),
    "alphamatting": Layout(
        Kind.ALPHA,
        ("input_training_lowres", "input_training_highres"),
        ("gt_training_lowres", "gt_training_highres"),
        ("trimap_training_lowres/Trimap1", "trimap_training_highres/Trimap1"),
    ),
    "p3m10k": Layout(
        Kind.ALPHA, ("{split}/blurred_image", "{split}/original_image"), ("{split}/mask",), ("{split}/trimap",)
    ),
    "aisegment": Layout(Kind.ALPHA, ("clip_img",), ("matting",)),
    "ppm100": Layout(Kind.ALPHA, ("image",), ("matte",)),
    "aim500": Layout(Kind.ALPHA, ("original",), ("mask",), ("trimap",)),
}

READERS = ("manifest", *LAYOUTS)


def read_items(
    reader: str,
    root: Path,
    splits: Collection[str] = ("train",),
    sources: Collection[str] = (),
    exclude: Collection[str] = (),
    licence: str = "not stated",
) -> list[Item]:
    """Items of a data set, sorted by name, without the excluded ones.

    Parameters
    ----------
    reader : "manifest" or a name in `LAYOUTS`
    splits, sources : of a manifest; other readers use `splits` where their folders have some, and take their own
        name for the source
    licence : of what a reader finds that does not know it

    Raises
    ------
    ConfigError
        for an unknown reader.
    InputError
        if the folders are not laid out as the reader expects, or an image lacks its label.
    """
    if reader == "manifest":
        return read_manifest(root, splits, sources, exclude)
    if reader not in LAYOUTS:
        raise ConfigError(f"reader={reader}: expected one of {', '.join(READERS)}")
    layout = LAYOUTS[reader]
    found = [item for split in splits for item in _read(reader, layout, root, split, licence)]
    kept = (item for item in found if not is_named(item.source, item.name, exclude))
    items = {item.image: item for item in kept}  # splits may share a folder
    if not items:
        raise InputError(f"{root}: no images left after excluding {len(found)}")
    return list(items.values())


def _read(reader: str, layout: Layout, root: Path, split: str, licence: str) -> Iterator[Item]:
    images = _images(reader, root, layout.images, split)
    labels = _images(reader, root, layout.labels, split) if layout.labels else {}
    trimaps = _images(reader, root, layout.trimaps, split, required=False)
    missing = sorted(images.keys() - labels.keys()) if layout.labels else []
    if missing:
        raise InputError(
            f"{root}: {len(missing)} of {len(images)} images have no label of the same name in "
            f"{_patterns(layout.labels, split)}, first {missing[0]}"
        )
    for name, path in sorted(images.items()):
        yield Item(layout.kind, reader, name, path, licence, labels.get(name), trimaps.get(name))


def _images(
    reader: str, root: Path, patterns: tuple[str, ...], split: str, required: bool = True
) -> dict[str, Path]:
    """Images by their stem, at any depth of the folders that match the first fitting pattern."""
    for pattern in patterns:
        folders = [root] if pattern == "." else sorted(root.glob(pattern.format(split=split)))
        paths = [path for folder in folders for path in sorted(folder.rglob("*")) if _is_image(path)]
        if paths:
            return _by_stem(paths)
    if required:
        raise InputError(
            f"{root}: no images in {_patterns(patterns, split)}, where the reader {reader} looks for them"
        )
    return {}


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def _by_stem(paths: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise InputError(f"{path}: has the same name as {found[path.stem]}; images are matched by name")
        found[path.stem] = path
    return found


def _patterns(patterns: tuple[str, ...], split: str) -> str:
    return " or ".join(pattern.format(split=split) for pattern in patterns)
