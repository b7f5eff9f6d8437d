"""Options that several commands share, written once, and help that shows options by group."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Option(click.Option):
    """An option of a group in the help."""

    def __init__(self, *arguments: Any, group: str, **settings: Any):
        super().__init__(*arguments, **settings)
        self.group = group


class Command(click.Command):
    """A command whose help lists its options by group, in the order of their declaration."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", "Help"), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)


def grouped(title: str) -> Callable[..., Callable[[F], F]]:
    """`click.option` for options of one group."""
    return partial(click.option, cls=Option, group=title)


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in the order of the help."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_result, _subject, _model = grouped("Result"), grouped("Subject"), grouped("Model")


def background(kinds: str) -> Callable[[F], F]:
    """A new background, and how it is put behind the subject.

    kinds : what the background may be, for the help
    """
    return together(
        _result("--background", metavar="BACKGROUND", help=f"{kinds}."),
        _result(
            "--fit",
            type=click.Choice(["fill", "fit"]),
            default="fill",
            help="Crop the background to fill the frame, or show all of it.",
        ),
        _result(
            "--light",
            type=click.Choice(["srgb", "linear"]),
            default="srgb",
            help="Blend edges in stored levels, as image editors do, or in linear light.",
        ),
    )


subject = together(
    _subject("--subject", default="all", metavar="all|largest|X,Y", help="Which of several people to keep."),
    _subject("--fill-holes", is_flag=True, help="Fill holes inside the subject."),
)


model = _model("--model", default="lite", help="Name, or path of a .onnx or .safetensors file.")
backend = _model(
    "--backend",
    type=click.Choice(["auto", "onnx", "openvino", "torch"]),
    default="auto",
    help="Inference backend.",
)
device = _model("--device", default="auto", help="auto, cpu, cuda, cuda:N or tensorrt.")
precision = _model(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    help="Precision of the ONNX model.",
)


verbosity = together(
    grouped("Run")("-q", "--quiet", is_flag=True, help="Print errors only."),
    grouped("Run")("-v", "--verbose", is_flag=True, help="Print each file written."),
)


detail = _model(
    "--detail",
    type=click.Choice(["fine", "fast"]),
    default="fine",
    help="fine looks again at native resolution where hair is; fast looks once.",
)


def max_side(default: str) -> Callable[[F], F]:
    """Size that the network sees an image at; `default` is for the help."""
    return _model(
        "--max-side",
        type=click.IntRange(min=1),
        show_default=default,
        help="Maximum long side of the network's input, pixels.",
    )


def threads(default: int | None = None) -> Callable[[F], F]:
    """CPU threads of one call; None is one per core."""
    return _model(
        "--threads",
        type=click.IntRange(min=1),
        default=default,
        show_default=True if default else "one per core",
        help="CPU threads for inference.",
    )


# What the commands of train/ and export/ share.

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "show_default": True}
"""context_settings of a command line"""

path_option = partial(click.option, type=click.Path(path_type=Path))
"""`click.option` for the path of a file or folder"""

count_option = partial(click.option, type=click.IntRange(min=1))
"""`click.option` for a whole number from 1 up"""

data = path_option("--data", required=True, help="Folder with a manifest.csv.")
split = click.option("--split", default="val", help="Split of the data whose images have a label.")
sources = click.option("--source", "sources", multiple=True, help="Only this source; may be repeated.")
images = count_option("--images", help="Maximum number of images per source.", show_default="all")
