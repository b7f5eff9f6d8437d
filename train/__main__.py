"""`python -m train CONFIG [key=value …]`: train a model; run again to resume."""

import json
import logging
from pathlib import Path

import click

from jointmat.cli.errors import run
from jointmat.cli.options import SETTINGS, path_option


class _WithDefault(click.Group):
    """A group whose first command may go unnamed."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if arguments and arguments[0] not in (*self.commands, *context.help_option_names):
            arguments = ["fit", *arguments]
        return super().parse_args(context, arguments)


@click.group(cls=_WithDefault, context_settings=SETTINGS)
def cli() -> None:
    """Train models: `python -m train CONFIG` is short for `python -m train fit CONFIG`."""


_data = click.option("--data", help="Folder with the training data; short for data.root=DIR.")


@cli.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@_data
@path_option("--runs", default=Path("runs"), help="Folder for all runs.")
def fit(config: Path, overrides: tuple[str, ...], data: str | None, runs: Path) -> None:
    """Train the model that CONFIG describes, into RUNS/NAME; resume an earlier run."""
    from train import engine
    from train.config import load_config

    engine.train(load_config(config, _with_root(overrides, data)), runs)


@cli.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@_data
@path_option("-o", "--output", default=Path("out/data.jpg"), help="The sheet.")
@click.option("--samples", type=click.IntRange(1, 200), default=24, help="Rows of the sheet.")
def inspect_data(config: Path, overrides: tuple[str, ...], data: str | None, output: Path, samples: int) -> None:
    """Draw training samples, and list unusable files."""
    from train import inspection
    from train.config import load_config

    inspection.inspect_data(load_config(config, _with_root(overrides, data)), output, samples)


@cli.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@path_option("-o", "--output", required=True, help="Weights file to write.")
@click.option("--share", type=click.FloatRange(0, 1), default=0.5, help="Weight of the second file.")
def average(first: Path, second: Path, output: Path, share: float) -> None:
    """Average the weights of a run and of one fine-tuned from it."""
    from train.average import average as write

    write(first, second, output, share)
    click.echo(f"wrote {output}")


def _with_root(overrides: tuple[str, ...], data: str | None) -> tuple[str, ...]:
    return (*overrides, f"data.root={json.dumps(data, ensure_ascii=False)}") if data else overrides


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    run(cli)
