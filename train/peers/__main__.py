"""`python -m train.peers`: our model beside other systems, on the same photos, by the same scores."""

import importlib.metadata
import os
from pathlib import Path

import click

from jointmat.cli.errors import run
from jointmat.errors import InputError
from jointmat.evaluation.peers import PEERS


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog="\n\n".join(
        ["\b\nPeers, and where their files come from:", *(f"{n}: {p.origin}" for n, p in PEERS.items())]
    ),
)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder with a manifest.csv.")
@click.option("--split", default="val")
@click.option("--source", "sources", multiple=True, help="Only this source; may be repeated.")
@click.option("--model", "models", multiple=True, default=["lite"], help="Name or path; may be repeated.")
@click.option("--max-side", type=click.IntRange(min=1), help="Long side that our network sees, pixels.")
@click.option("--peer", "peers", multiple=True, metavar="NAME=FILE", help="A peer and its file; may be repeated.")
@click.option(
    "--given-trimaps",
    is_flag=True,
    help="Compare with closed-form and KNN matting, on photos that have a trimap; peers are not given it.",
)
@click.option("--threads", type=click.IntRange(min=1), default=os.cpu_count() or 1, help="Of each network.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("out/peers"))
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
    """Score our model and other systems on labelled photos: table, CSV, every alpha, and a picture.

    Nothing is fetched: a peer's file is yours to get, see below. The picture shows the photos where the first
    model wins most, then those where it loses most.
    """
    from jointmat.evaluation.manifest import read_manifest
    from train.peers import report
    from train.peers.compare import compare
    from train.peers.systems import CLASSIC, open_models, open_peers
    from train.record import processor

    items = [i for i in read_manifest(data, [split], sources) if i.label and (i.trimap or not given_trimaps)]
    if not items:
        raise InputError(f"{data}: no photo with a {'trimap' if given_trimaps else 'label'} in split {split}")
    systems = (
        open_models(models, max_side, threads) | (CLASSIC if given_trimaps else {}) | open_peers(peers, threads)
    )
    results = compare(items, systems, output, give_trimaps=given_trimaps)
    report.write_csv(output / "scores.csv", results)
    metric = "sad_unknown" if given_trimaps else "sad"
    report.draw_extremes(output / "extremes.jpg", results, output, metric)
    version = importlib.metadata.version("onnxruntime")
    click.echo(f"{processor()}, {threads} threads, onnxruntime {version}; SAD, Grad and Conn in thousands")
    click.echo(report.table(results, report.UNKNOWN if given_trimaps else report.WHOLE))
    click.echo(f"wrote {output / 'scores.csv'} and {output / 'extremes.jpg'}")


if __name__ == "__main__":
    run(command)
