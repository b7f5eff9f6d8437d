"""`python -m train CONFIG [key=value …]`: train a model; run again to go on where it stopped."""

import logging
from pathlib import Path

import click

from jointmat.console import run


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--data", "data_root", help="Folder with the training data; short for data.root=DIR.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
def train(config: Path, overrides: tuple[str, ...], data_root: str | None, runs: Path) -> None:
    """Train the model that CONFIG describes, into RUNS/NAME."""
    from train import engine
    from train.config import load_config

    if data_root:
        overrides = (*overrides, f"data.root={data_root}")
    engine.train(load_config(config, overrides), runs)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    run(train)
