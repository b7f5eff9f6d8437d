"""How commands end: with a result, or with one line that says what to do."""

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal

import click

from jointmat.errors import InputError, JointmatError, JointmatWarning


class SomeFailed(JointmatError):
    """Part of the inputs could not be processed; the rest was."""


def run(command: click.Command) -> None:
    """Run a command line to its exit code.

    0 done; 1 some inputs failed, or nobody reads the output any more; 2 unusable arguments, input or environment;
    130 interrupted, by Ctrl-C or SIGTERM alike. Errors and warnings are one line on stderr, never a traceback.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _open_closed_streams()
    warnings.filterwarnings("always", category=JointmatWarning)
    warnings.showwarning = _show_warning
    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        with _told_if_possible():
            error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        sys.exit(130)
    except JointmatError as error:
        _say(f"error: {error}")
        sys.exit(1 if isinstance(error, SomeFailed) else 2)
    except MemoryError:
        _say("error: not enough memory; use a smaller input, or free some memory")
        sys.exit(2)
    except ImportError as error:  # of an installation that is not whole
        _say(f"error: {' '.join(str(error).split())}")
        sys.exit(2)
    except OSError as error:  # of calls around the work, such as making the output folder
        _say(f"error: {error}")
        sys.exit(2)


def standard(name: Literal["stdin", "stdout"]) -> BinaryIO:
    """Standard input or output, binary; an error if whoever started this process has closed it."""
    stream = getattr(sys, name)
    if stream is None:
        instead = "-o FILE" if name == "stdout" else "a file as the input"
        raise InputError(f"{name}: closed; name {instead}")
    return stream.buffer


def _open_closed_streams() -> None:
    """So that no file that is opened later gets the number of a closed stream, and what libraries print there.

    `sys.stdin` and `sys.stdout` stay None, so that it is noticed if a command needs them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _say(text: str) -> None:
    with _told_if_possible():
        click.echo(text, err=True)


@contextmanager
def _told_if_possible() -> Iterator[None]:
    """The disk that standard error leads to may be full; what Python keeps of it would fail at exit."""
    try:
        yield
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")
