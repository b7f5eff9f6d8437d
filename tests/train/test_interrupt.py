import os
import signal

import pytest

from jointmat.errors import TrainingError
from train.interrupt import Interrupt, closing_workers, worker_error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_takes_effect(number):
    seen = []
    before = signal.signal(number, lambda *_: seen.append("second"))
    try:
        with Interrupt() as interrupt:
            assert not interrupt.requested
            os.kill(os.getpid(), number)
            assert interrupt.requested and seen == []
            os.kill(os.getpid(), number)
            assert seen == ["second"]
    finally:
        signal.signal(number, before)


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with Interrupt():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
        ConnectionResetError(104, "Connection reset by peer"),
        EOFError(),
    ],
)
def test_the_death_of_a_worker_is_told_whatever_it_was_doing(error):
    assert "a data worker died" in worker_error(error)


def test_workers_that_cannot_start_are_one_line():
    class Loader:
        def __iter__(self):
            raise OSError(28, "No space left on device")

    with (
        pytest.raises(TrainingError, match=r"cannot start \(No space left on device\): data\.workers=0"),
        closing_workers(Loader()),
    ):
        pass


def test_other_errors_are_not_the_workers():
    assert worker_error(RuntimeError("out of memory")) == ""
    assert worker_error(ValueError("Caught ValueError in DataLoader worker process 0.\nValueError: bad")) == (
        "ValueError: bad"
    )
