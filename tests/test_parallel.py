"""Order, bounds and ends of work on many images."""

import os
import subprocess
import sys
import threading

import pytest

from jointmat.parallel import default_jobs, in_order
from tests.fakes import brightness_model


def test_results_come_in_order_whatever_finishes_first():
    first_may_end = threading.Event()

    def work(n):
        if n == 0:
            assert first_may_end.wait(30)
        if n == 2:
            first_may_end.set()
        return n * n

    assert list(in_order(work, range(9), 3, lambda n: 1)) == [n * n for n in range(9)]


@pytest.mark.parametrize(("most", "together"), [(2, 2), (100, 4), (1, 1)])
def test_pixels_under_way_are_bounded(most, together):
    taken, counts = 0, []

    def items():
        nonlocal taken
        for n in range(20):
            taken += 1
            yield n

    for done, _ in enumerate(in_order(lambda n: n, items(), 3, lambda n: 1, most)):
        counts.append(taken - done)
    assert max(counts[:10]) <= together + 1  # and the one that waits to be put in


def test_an_item_with_more_pixels_than_fit_is_worked_on_alone():
    assert list(in_order(lambda n: n, [5, 200, 7], 2, lambda n: n, 10)) == [5, 200, 7]


def test_an_error_ends_it_and_nothing_else_begins():
    begun = []

    def work(n):
        begun.append(n)
        return 1 / n

    with pytest.raises(ZeroDivisionError):
        list(in_order(work, [1, 0, *range(1, 100)], 1, lambda n: 1))
    assert len(begun) <= 4


def test_there_is_a_default():
    assert 1 <= default_jobs() <= 8


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux confines a process to cores")
def test_a_process_that_is_confined_to_a_core_stays_there(tmp_path):
    model = brightness_model(tmp_path / "brightness.onnx")
    code = """if True:
        import os, sys
        core = min(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})
        import numpy as np
        from jointmat import Predictor
        from jointmat.parallel import default_jobs
        assert default_jobs() == 1
        predictor = Predictor(sys.argv[1])
        predictor.predict(np.zeros((64, 64, 3), np.uint8))
        for task in os.listdir("/proc/self/task"):
            assert os.sched_getaffinity(int(task)) == {core}
    """
    done = subprocess.run([sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
