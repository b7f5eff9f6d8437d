"""Servers on a free port of this machine, in a thread or in a process of their own."""

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI

from jointmat.cli.serve import listen
from jointmat.serve.connections import server

COMMAND = [sys.executable, "-m", "jointmat", "serve"]
ROOT = Path(__file__).parent.parent.parent


@contextmanager
def hosted(app: FastAPI) -> Iterator[int]:
    """The port of an app that is stopped, gracefully, when the block ends."""
    running = server(app, 5)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while thread.is_alive() and not running.started:  # its workers start first
                time.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


def started(
    *arguments: str, stderr: int | None = subprocess.PIPE, before: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """`jointmat serve` on a free port; `before` stands before the command."""
    command = [*before, *COMMAND, "--port", "0", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=stderr)


def address(process: subprocess.Popen[str]) -> str:
    """Where a started server says that it listens."""
    assert process.stdout
    line = process.stdout.readline()
    found = re.fullmatch(r"page  (http://127\.0\.0\.1:\d+/)\n", line)
    assert found, line
    return found[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
