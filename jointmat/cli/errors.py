"""How every command of this package ends: with a result, or with one line that says what to do."""

import signal
import sys
import warnings
from typing import Any

import click

from jointmat.errors import JointmatError, JointmatWarning


class SomeFailed(JointmatError):
    """Part of the inputs could not be processed; the rest was."""


def run(command: click.Command) -> None:
    """Run a command line to its exit code.

    0 done; 1 some inputs failed, or nobody reads the output any more; 2 unusable arguments, input or environment;
    130 interrupted, by Ctrl-C or SIGTERM alike. Errors and warnings are one line on stderr, never a traceback.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    warnings.filterwarnings("always", category=JointmatWarning)
    warnings.showwarning = _show_warning
    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except JointmatError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1 if isinstance(error, SomeFailed) else 2)
    except MemoryError:
        click.echo("error: not enough memory; use a smaller input, or free some memory", err=True)
        sys.exit(2)
    except ImportError as error:  # of an installation that is not whole
        click.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    except OSError as error:  # of calls around the work, such as making the output folder
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {message}", err=True)
