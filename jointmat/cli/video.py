"""`jointmat video` and `jointmat camera`."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from jointmat.errors import InputError
from jointmat.io.atomic import printable

if TYPE_CHECKING:
    from jointmat.predictor import Predictor

_OPTIONS = (
    click.option("--background", help="A picture, a video, #rrggbb or blur."),
    click.option(
        "--fit", type=click.Choice(["fill", "fit"]), default="fill", help="Crop the background, or show all."
    ),
    click.option("--light", type=click.Choice(["srgb", "linear"]), default="srgb", help="How edges are mixed."),
    click.option("--subject", default="all", help="Of several people: all, largest, or the one at x,y."),
    click.option("--fill-holes", is_flag=True, help="Make opaque what the subject surrounds."),
    click.option("--no-smooth", is_flag=True, help="Every frame by itself, with its flicker."),
    click.option("--model", default="lite", help="Name, or path of a .onnx or .safetensors file."),
    click.option("--backend", type=click.Choice(["auto", "onnx", "torch"]), default="auto"),
    click.option("--device", default="auto", help="auto, cpu, cuda or tensorrt."),
    click.option(
        "--precision", type=click.Choice(["fp32", "fp16", "int8"]), default="fp32", help="Of the .onnx file."
    ),
    click.option(
        "--max-side",
        type=click.IntRange(min=1),
        show_default="320",
        help="Long side that the network sees, pixels.",
    ),
    click.option("--threads", type=click.IntRange(min=1), default=1, help="Of the network."),
)


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("source", metavar="VIDEO")
@click.option("-o", "--output", required=True, help=".mp4, .mov, .mkv, .webm, or a folder for PNG files.")
@click.option("--alpha", is_flag=True, help="Transparent, to .webm (VP9), .mov (ProRes 4444) or PNG files.")
@click.option("--only-alpha", is_flag=True, help="The matte itself, grey.")
@click.option("--no-sound", is_flag=True, help="Leave the sound out.")
@click.option("--overwrite", is_flag=True, help="Allow the output to replace an input.")
@_shared
def video(source: str, output: str, **options: Any) -> None:
    """Cut people out of a video.

    Give one of --background, --alpha and --only-alpha. Ctrl-C keeps what is done.
    """
    background, only_alpha = options["background"], options["only_alpha"]
    if sum((background is not None, options["alpha"], only_alpha)) != 1:
        raise InputError("say what to write: one of --background, --alpha and --only-alpha")
    inputs = {os.path.realpath(name) for name in (source, background) if name is not None}
    if os.path.realpath(output) in inputs and not options["overwrite"]:
        raise InputError(f"{printable(output)}: is an input; name another output, or add --overwrite")
    import cv2

    from jointmat.subject import parse_subject
    from jointmat.video.convert import Interrupted, matte_video

    cv2.setNumThreads(1)  # the stages, a thread each, share the cores by themselves: 5 % more frames on two
    try:
        report = matte_video(
            source,
            output,
            background=background,
            only_alpha=only_alpha,
            predictor=_predictor(options),
            subject=parse_subject(options["subject"]),
            fill_holes=options["fill_holes"],
            smooth=not options["no_smooth"],
            fit=options["fit"],
            light=options["light"],
            sound=not options["no_sound"],
            progress=True,
        )
    except Interrupted:
        click.echo(f"{printable(output)}: holds what was done", err=True)
        raise
    click.echo(str(report), err=True)


@click.command()
@click.option("--number", type=click.IntRange(min=0), default=0, help="Which of the cameras.")
@click.option("--size", default="1280x720", help="To ask the camera for, WIDTHxHEIGHT.")
@click.option("--virtual", is_flag=True, help="Be a camera for other programs, instead of a window.")
@click.option("--mirror", is_flag=True, help="Left is right, as in a mirror.")
@_shared
def camera(number: int, size: str, virtual: bool, mirror: bool, **options: Any) -> None:
    """Show what a camera sees in front of another background. Not yet tried with a real camera.

    q, Ctrl-C or closing the window ends it. --virtual needs pip install 'jointmat[camera]' and a driver, such as
    v4l2loopback.
    """
    from jointmat.subject import parse_subject
    from jointmat.video.camera import open_camera, parse_size, show
    from jointmat.video.frames import FrameMatter

    matter = FrameMatter(
        _predictor(options),
        subject=parse_subject(options["subject"]),
        fill_holes=options["fill_holes"],
        smooth=not options["no_smooth"],
    )
    background = "blur" if options["background"] is None else options["background"]
    with open_camera(number, parse_size(size)) as frames:
        click.echo("q or Ctrl-C ends it", err=True)
        show(
            frames,
            matter,
            background,
            fit=options["fit"],
            light=options["light"],
            virtual=virtual,
            mirror=mirror,
        )


def _predictor(options: dict[str, Any]) -> "Predictor":
    from jointmat.predictor import Predictor
    from jointmat.video.frames import DEFAULT_MAX_SIDE

    return Predictor(
        options["model"],
        backend=options["backend"],
        device=options["device"],
        precision=options["precision"],
        max_side=options["max_side"] or DEFAULT_MAX_SIDE,
        threads=options["threads"],
    )
