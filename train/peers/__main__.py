"""`python -m train.peers`: a jointmat model beside other systems, on the same images, with the same metrics."""

import importlib.metadata
from pathlib import Path

import click

from jointmat.cli import options as shared
from jointmat.cli.errors import run
from jointmat.cli.options import SETTINGS, count_option, path_option
from jointmat.errors import InputError
from jointmat.evaluation.peers import PEERS
from jointmat.parallel import cores


@click.command(
    context_settings=SETTINGS,
    epilog="\n\n".join(["\b\nPeers and their files:", *(f"{n}: {p.origin}" for n, p in PEERS.items())]),
)
@shared.data
@shared.split
@shared.sources
@click.option("--model", "models", multiple=True, default=["lite"], help="Model name or path; may be repeated.")
@count_option("--max-side", help="Maximum long side of jointmat's network input, pixels.")
@click.option("--peer", "peers", multiple=True, metavar="NAME=FILE", help="A peer and its file; may be repeated.")
@click.option(
    "--given-trimaps",
    is_flag=True,
    help="Also compare with closed-form and KNN matting, on images with a trimap; peers do not get it.",
)
@count_option("--threads", default=cores(), help="CPU threads of each network.")
@path_option("-o", "--output", default=Path("out/peers"), help="Folder to write to.")
def command(
    data: Path,
    split: str,
    sources: tuple[str, ...],
    models: tuple[str, ...],
    max_side: int | None,
    peers: tuple[str, ...],
    given_trimaps: bool,
    threads: int,
    output: Path,
) -> None:
    """Score a jointmat model and other systems on labelled images: table, CSV, every alpha, and a sheet.

    The sheet shows the images where the first model wins most, then those where it loses most. Nothing is
    downloaded: get a peer's file as described below.
    """
    from jointmat.evaluation.machine import processor
    from jointmat.evaluation.manifest import read_labelled
    from jointmat.evaluation.table import table
    from train.peers import report
    from train.peers.compare import compare
    from train.peers.systems import CLASSIC, open_models, open_peers

    items = [item for item in read_labelled(data, split, sources) if item.trimap or not given_trimaps]
    if not items:
        raise InputError(f"{data}: no image with a trimap in split {split}")
    systems = (
        open_models(models, max_side, threads) | (CLASSIC if given_trimaps else {}) | open_peers(peers, threads)
    )
    results = compare(items, systems, output, give_trimaps=given_trimaps)
    report.save_csv(output / "scores.csv", results)
    metric = "sad_unknown" if given_trimaps else "sad"
    report.draw_extremes(output / "extremes.jpg", results, output, metric)
    version = importlib.metadata.version("onnxruntime")
    click.echo(f"{processor()}, {threads} threads, onnxruntime {version}; SAD, Grad and Conn in thousands")
    click.echo(table(report.rows(results, report.UNKNOWN if given_trimaps else report.WHOLE)))
    click.echo(f"wrote {output / 'scores.csv'} and {output / 'extremes.jpg'}")


if __name__ == "__main__":
    run(command)
