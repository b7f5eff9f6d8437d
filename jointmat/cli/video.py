"""`jointmat video` and `jointmat camera`."""

import os
from typing import TYPE_CHECKING, Any

import click

from jointmat.cli import options as shared
from jointmat.cli.options import Command, grouped, together
from jointmat.errors import InputError
from jointmat.io.atomic import printable

if TYPE_CHECKING:
    from jointmat.predictor import Predictor

_files, _result, _camera = grouped("Files"), grouped("Result"), grouped("Camera")

_shared = together(
    shared.background("An image, a video, #rrggbb or blur"),
    _result("--no-smooth", is_flag=True, help="Disable temporal smoothing."),
    shared.subject,
    shared.model,
    shared.backend,
    shared.device,
    shared.precision,
    shared.max_side("320"),
    shared.threads(1),
)


@click.command(cls=Command)
@click.argument("source", metavar="VIDEO")
@_files("-o", "--output", required=True, help=".mp4, .mov, .mkv, .webm, or a folder for PNG files.")
@_files("--no-sound", is_flag=True, help="Leave the sound out.")
@_files("--overwrite", is_flag=True, help="Allow the output to replace an input.")
@_result("--alpha", is_flag=True, help="Transparent video: .webm (VP9), .mov (ProRes 4444) or PNG files.")
@_result("--only-alpha", is_flag=True, help="The matte itself, grey.")
@_shared
def video(source: str, output: str, **options: Any) -> None:
    """Cut people out of a video.

    Give one of --background, --alpha and --only-alpha. Ctrl-C keeps what is done.
    """
    background, only_alpha = options["background"], options["only_alpha"]
    if sum((background is not None, options["alpha"], only_alpha)) != 1:
        raise InputError("choose an output: --background, --alpha or --only-alpha")
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
        click.echo(f"partial output kept in {printable(output)}", err=True)
        raise
    click.echo(str(report), err=True)


@click.command(cls=Command)
@_camera("--number", type=click.IntRange(min=0), default=0, help="Which camera to open.")
@_camera("--size", default="1280x720", metavar="WIDTHxHEIGHT", help="Frame size to ask the camera for.")
@_camera("--virtual", is_flag=True, help="Send output to a virtual camera instead of a window.")
@_camera("--mirror", is_flag=True, help="Flip horizontally.")
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
        detail="fast",
        max_side=options["max_side"] or DEFAULT_MAX_SIDE,
        threads=options["threads"],
    )
