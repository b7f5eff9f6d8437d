"""`python -m train.pseudo_alpha`: soft labels with a confidence, from photos with coarse masks."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jointmat.console import SomeFailed, run
from jointmat.errors import InputError

if TYPE_CHECKING:
    from train.pseudo_alpha.matting import PseudoSettings


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder with a manifest.csv.")
@click.option("--split", "splits", multiple=True, help="Default: train, or val with --judge; may be repeated.")
@click.option("--source", "sources", multiple=True, help="Only this source; may be repeated.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("out/pseudo_alpha"))
@click.option(
    "--band",
    type=click.FloatRange(0.001, 0.1),
    default=0.012,
    help="Width inside of the mask's edge, as a share of the long side; outside it is twice as wide.",
)
@click.option("--workers", type=click.IntRange(min=1), default=os.cpu_count() or 1, help="Processes.")
@click.option("--judge", "judging", is_flag=True, help="Instead, measure the method on photos with a true alpha.")
def command(
    data: Path,
    splits: tuple[str, ...],
    sources: tuple[str, ...],
    output: Path,
    band: float,
    workers: int,
    judging: bool,
) -> None:
    """Turn (photo, coarse mask) into (photo, alpha, confidence).

    Closed-form matting in a band along the mask's edge, held to the mask where colours do not separate. OUTPUT
    becomes a data folder: all of DATA by reference, and the results as split "pseudo", of kind alpha with a
    weight picture (255: trust alpha). Run it again to go on where it stopped.

    --judge takes photos whose alpha is known, makes their mask coarse (average over 4x4 pixels, blur, cut at .5),
    and prints what mask, blurred mask and pseudo-alpha miss in the band.
    """
    from train.pseudo_alpha.matting import PseudoSettings

    settings = PseudoSettings(band=band)
    if judging:
        _judge(data, splits or ("val",), sources, settings)
    else:
        _make(data, splits or ("train",), sources, output, settings, workers)


def _make(
    data: Path,
    splits: tuple[str, ...],
    sources: tuple[str, ...],
    output: Path,
    settings: "PseudoSettings",
    workers: int,
) -> None:
    from train.pseudo_alpha import folder

    items = folder.coarse_items(data, splits, sources)
    if output.resolve() == data.resolve():
        raise InputError(f"{output}: is the data folder itself; choose another one with -o")
    failures = folder.make(items, output, settings, workers)
    count = folder.write_manifest(data, items, output)
    for item, problem in failures.items():
        click.echo(f"error: {item.name}: {problem}", err=True)
    click.echo(f"{count} pseudo-alphas in {output}, listed in {output / 'manifest.csv'} as split {folder.SPLIT}")
    if failures:
        raise SomeFailed(f"{len(failures)} of {len(items)} masks were left out")


def _judge(data: Path, splits: tuple[str, ...], sources: tuple[str, ...], settings: "PseudoSettings") -> None:
    from tqdm import tqdm

    from jointmat.manifest import Kind, read_manifest
    from train.pseudo_alpha.judge import judge, verdict

    items = [item for item in read_manifest(data, splits, sources) if item.kind is Kind.ALPHA and item.label]
    if not items:
        raise InputError(f"{data}: no photo with an alpha in splits {', '.join(splits)}")
    photos = {}
    for item in tqdm(items, unit="photo", disable=None):
        try:
            photos[item] = judge(item, settings)
        except ValueError as error:
            tqdm.write(f"left out: {item.name}: {error}", file=sys.stderr)
    click.echo("errors in the band along the edge of a mask made coarse; SAD in thousands; means over photos")
    for source in dict.fromkeys(item.source for item in photos):
        members = [labels for item, labels in photos.items() if item.source == source]
        click.echo(f"\n{source}, {len(members)} photos\n{verdict(members)}")


if __name__ == "__main__":
    run(command)
