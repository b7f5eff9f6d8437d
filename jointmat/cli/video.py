"""`jointmat video` and `jointmat camera`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jointmat.cli import options as shared
from jointmat.cli.errors import SomeFailed, standard
from jointmat.cli.files import STANDARD, Source, choose_targets, is_folder
from jointmat.cli.options import Command, grouped, together
from jointmat.errors import InputError, JointmatError
from jointmat.io.atomic import printable

if TYPE_CHECKING:
    from jointmat.predictor import Predictor

_files, _result, _camera = grouped("Files"), grouped("Result"), grouped("Camera")

_VIDEOS = frozenset(
    f".{name}"
    for name in ("mp4 m4v mov mkv webm avi nut ts mts m2ts mpg mpeg wmv flv 3gp ogv").split()  # noqa: SIM905
)
"""extensions of the videos in a folder"""

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
@click.argument("sources", nargs=-1, required=True, metavar="VIDEO...")
@_files(
    "-o",
    "--output",
    required=True,
    help="File (.mp4, .mov, .mkv, .webm, .nut; animated: .gif, .webp, .png), or folder for PNG frames or for "
    "several videos; - for stdout.",
)
@_files(
    "--format",
    "extension",
    type=click.Choice(["mp4", "mov", "mkv", "webm", "nut", "gif", "webp", "png"], case_sensitive=False),
    show_default="mp4, with --alpha webm; to stdout mkv",
    help="Format of outputs without a name of their own.",
)
@_files("--rate", metavar="FPS", show_default="as frames.csv tells, or 25", help="Frame rate of image sequences.")
@_files("--no-sound", is_flag=True, help="Drop the audio.")
@_files("--overwrite", is_flag=True, help="Replace files that exist, an input too.")
@_result(
    "--alpha", is_flag=True, help="Transparent: .webm or .mkv (VP9), .mov (ProRes 4444), animated or PNG files."
)
@_result("--only-alpha", is_flag=True, help="Write the matte itself, in grey.")
@_shared
def video(sources: tuple[str, ...], output: str, **options: Any) -> None:
    """Cut people out of videos.

    VIDEO is a video, an animated image, a folder of videos, a folder of images (the frames of one), numbered
    images such as frames/%04d.png, or - for stdin. Give one of --background, --alpha and --only-alpha. Ctrl-C
    keeps what is done.
    """
    background, only_alpha = options["background"], options["only_alpha"]
    if sum((background is not None, options["alpha"], only_alpha)) != 1:
        raise InputError("choose an output: --background, --alpha or --only-alpha")
    found = [video for name in sources for video in _videos(name)]
    several = len(found) > 1 or found != list(sources)
    extension = options["extension"] or ("mkv" if output == STANDARD else "webm" if options["alpha"] else "mp4")
    targets = _targets(found, output, extension, several)
    inputs = {os.path.realpath(name) for name in (*found, background) if name not in (None, STANDARD)}
    for target in targets:
        if target == STANDARD or options["overwrite"]:
            continue
        if os.path.realpath(target) in inputs:
            raise InputError(f"{printable(target)}: is an input; name another output, or add --overwrite")
        if os.path.lexists(target) and not is_folder(target):
            raise InputError(f"{printable(target)}: exists; add --overwrite to replace it")
    import cv2

    from jointmat.io.video import check_format
    from jointmat.io.video.images import parse_rate
    from jointmat.subject import parse_subject

    options["rate"] = None if options["rate"] is None else parse_rate(options["rate"])
    options["subject"] = parse_subject(options["subject"])
    if several or output == STANDARD:
        check_format(f".{extension}", options["alpha"], "stdout" if output == STANDARD else printable(output))
    cv2.setNumThreads(1)  # the stages, a thread each, share the cores by themselves: 5 % more frames on two
    predictor = _predictor(options)
    failed = []
    for source, target in zip(found, targets, strict=True):
        try:
            _convert(source, target, predictor, f".{extension}", options)
        except JointmatError as error:
            if not several:
                raise
            click.echo(f"error: {error}", err=True)
            failed.append(source)
    if failed:
        names = ", ".join(map(printable, failed[:5]))
        raise SomeFailed(f"{len(failed)} of {len(found)} videos failed: {names}")


def _convert(source: str, target: str, predictor: "Predictor", extension: str, options: dict[str, Any]) -> None:
    from jointmat.video.convert import Interrupted, matte_video

    try:
        report = matte_video(
            standard("stdin") if source == STANDARD else source,
            standard("stdout") if target == STANDARD else target,
            background=options["background"],
            only_alpha=options["only_alpha"],
            predictor=predictor,
            subject=options["subject"],
            fill_holes=options["fill_holes"],
            smooth=not options["no_smooth"],
            fit=options["fit"],
            light=options["light"],
            sound=not options["no_sound"],
            rate=options["rate"],
            extension=extension,
            progress=True,
        )
    except Interrupted:
        click.echo(f"partial output kept in {printable(target)}", err=True)
        raise
    click.echo(f"{printable(target)}: {report}", err=True)


def _videos(name: str) -> list[str]:
    """The videos in a folder, if it holds any; else the name itself."""
    if not is_folder(name):
        return [name]
    found = sorted(
        path for path in Path(name).iterdir() if path.suffix.lower() in _VIDEOS and path.name[0] != "."
    )
    return [str(path) for path in found] or [name]


def _targets(found: list[str], output: str, extension: str, several: bool) -> list[str]:
    if output == STANDARD:
        if len(found) > 1:
            raise InputError(f"-o - goes with one video, got {len(found)}")
        return [STANDARD]
    if not several:
        return [output]
    if Path(output).suffix.lower() in {*_VIDEOS, ".gif", ".webp", ".png"}:
        raise InputError(f"{printable(output)}: is the name of one file; {len(found)} videos need a folder")
    targets, _ = choose_targets([Source(name) for name in found], output.rstrip("/") + "/", extension, "")
    Path(output).mkdir(parents=True, exist_ok=True)
    return targets


@click.command(cls=Command)
@_camera("--number", type=click.IntRange(min=0), default=0, help="Which camera to open.")
@_camera("--from", "stand_in", metavar="VIDEO", help="Use a video in place of the camera.")
@_camera("--size", default="1280x720", metavar="WIDTHxHEIGHT", help="Frame size to ask the camera for.")
@_camera("--virtual", is_flag=True, help="Send output to a virtual camera instead of a window.")
@_camera("--mirror", is_flag=True, help="Flip horizontally.")
@_shared
def camera(number: int, stand_in: str | None, size: str, virtual: bool, mirror: bool, **options: Any) -> None:
    """Show a camera's image with another background. Not yet tried with a real camera.

    Press q or Ctrl-C, or close the window, to quit. --virtual needs pip install 'jointmat[camera]' and a driver,
    such as v4l2loopback.
    """
    from jointmat.subject import parse_subject
    from jointmat.video.camera import open_camera, open_stand_in, parse_size, show
    from jointmat.video.frames import FrameMatter

    matter = FrameMatter(
        _predictor(options),
        subject=parse_subject(options["subject"]),
        fill_holes=options["fill_holes"],
        smooth=not options["no_smooth"],
    )
    background = "blur" if options["background"] is None else options["background"]
    wanted = parse_size(size)
    with open_camera(number, wanted) if stand_in is None else open_stand_in(stand_in) as frames:
        click.echo("press q or Ctrl-C to quit", err=True)
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
