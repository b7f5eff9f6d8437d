"""`python -m jointmat.ray SRC DST`: mattes of all images of a folder or object store, on a cluster."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import click

from jointmat.cli import options as shared
from jointmat.cli.errors import SomeFailed, run
from jointmat.cli.options import SETTINGS, Command, grouped
from jointmat.errors import DependencyError, InputError, pip_install

_result, _run_options = map(grouped, ("Result", "Run"))
_WAIT_SECONDS = 30


@click.command(cls=Command, context_settings=SETTINGS)
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@_result("--only-alpha", is_flag=True, help="Write the matte itself, as a grey image.")
@_result("--format", type=click.Choice(["png", "webp", "tif"]), default="png", help="File format of the results.")
@shared.model
@shared.device
@shared.precision
@shared.detail
@_run_options("--address", help="Address of the cluster.", show_default="RAY_ADDRESS, or this machine alone")
@_run_options(
    "--processes",
    type=click.IntRange(min=1),
    show_default="as many as there are cores for",
    help="At most so many.",
)
@_run_options("--cpus", type=click.IntRange(min=1), default=1, help="Cores of each.")
@_run_options("--piece", type=click.IntRange(min=1), default=32, help="Images that are recorded together.")
@shared.verbosity
def job(source: str, target: str, quiet: bool, verbose: bool, **options: Any) -> None:
    """Cut people out of all images in SRC, on the machines of a Ray cluster.

    SRC and DST are folders that all machines see, or s3:// or gs:// addresses. SRC holds images, WebDataset tars
    or Parquet files with a column bytes or image; DST gets the same kind, and in its folder records Parquet files
    with a row for each image: its result, coverage and error. The same command goes on where one was killed.
    """
    try:
        import ray

        from jointmat.ray.pieces import pieces_of
        from jointmat.ray.store import Store
    except ImportError as error:
        raise DependencyError(f"jointmat.ray needs Ray Data: {pip_install('ray')}") from error
    if f"{target.rstrip('/')}/".startswith(f"{source.rstrip('/')}/"):
        raise InputError(f"{target}: in SRC, whose files are all read; name another folder")
    stores = Store(source), Store(target)
    pieces, done = pieces_of(*stores, options["format"], options["piece"])
    if not pieces:
        click.echo(f"nothing to do: all {done} are done", err=True)
        return
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel("INFO" if verbose else "ERROR")
    ray.init(options["address"], log_to_driver=verbose, logging_level=logging.WARNING, ignore_reinit_error=True)
    settings = {name: options[name] for name in ("format", "model", "device", "precision", "detail")}
    if Path(options["model"]).is_file():
        settings["model"] = str(Path(options["model"]).absolute())
    settings |= {"outputs": ["alpha" if options["only_alpha"] else "cutout"], "threads": options["cpus"]}
    _check_room(options["cpus"], options["processes"] or 1)
    failed = _work_through(
        pieces, done, options["processes"], (*(store.address for store in stores), settings), quiet
    )
    if failed:
        raise SomeFailed(f"{failed} images failed; {target}/records has their errors")


def _work_through(
    pieces: list[dict[str, Any]], done: int, processes: int | None, arguments: tuple[Any, ...], quiet: bool
) -> int:
    """Do all pieces; returns the number of images that failed."""
    import ray.data
    from tqdm import tqdm

    from jointmat.ray.pieces import do_piece

    source, target, settings = arguments
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_no_progress_timeout_s = -1  # a tar may take longer than Ray waits for a sign of life
    results = ray.data.from_items(pieces, override_num_blocks=min(len(pieces), 10_000)).map(
        do_piece,  # type: ignore[arg-type]
        fn_args=(source, target, json.dumps(settings)),
        compute=ray.data.TaskPoolStrategy(size=processes),
        num_cpus=settings["threads"],
    )
    start, images, failed = time.perf_counter(), 0, 0
    total = done + sum(len(piece["units"]) for piece in pieces)
    with tqdm(total=total, initial=done, disable=True if quiet else None, unit="unit") as bar:
        for result in results.iter_rows():
            images, failed = images + result["images"], failed + len(result["failed"])
            for line in result["failed"]:
                tqdm.write(f"error: {line}")
            bar.update(result["units"])
    if not quiet:
        seconds = time.perf_counter() - start
        before = f", {done} were done before" if done else ""
        click.echo(f"{images} images in {seconds:.1f} s, {images / seconds:.1f} a second{before}", err=True)
    return failed


def _check_room(cpus: int, processes: int) -> None:
    """InputError where Ray would wait for ever."""
    import ray

    deadline = time.monotonic() + _WAIT_SECONDS  # of a job that was just killed, Ray still holds the cores
    while True:
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        room = sum(int(cores // cpus) for cores in nodes)
        if room < processes:
            asked, has = f"{processes} processes of {cpus} CPUs", " + ".join(f"{cores:g}" for cores in nodes)
            raise InputError(f"got {asked}, but the cluster, of {has} CPUs, has room for {room}; ask for less")
        if ray.available_resources().get("CPU", 0) >= cpus:
            return
        if time.monotonic() > deadline:
            raise InputError("all CPUs of the cluster are in use by other jobs; wait, or add machines")
        time.sleep(1)


if __name__ == "__main__":
    run(job)
