import threading
import time

import pytest

from jointmat.video.stages import Ahead


def test_order_and_end():
    numbers = Ahead(iter(range(50)))
    assert list(numbers) == list(range(50)) and list(numbers) == []
    numbers.close()


def test_it_works_ahead_but_only_so_far():
    made = []

    def source():
        for number in range(100):
            made.append(number)
            yield number

    line = Ahead(source(), size=3)
    time.sleep(0.3)
    assert 1 <= len(made) <= 4
    next(line)
    line.close()
    assert len(made) <= 6


def test_errors_come_out_where_the_item_would_have():
    def source():
        yield 1
        raise ValueError("broken")

    line = Ahead(Ahead(source()))
    assert next(line) == 1
    with pytest.raises(ValueError, match="broken"):
        next(line)
    assert list(line) == []


def test_stages_run_at_the_same_time():
    """Each waits until the other is at work too."""
    barrier = threading.Barrier(2, timeout=10)

    def stage(items):
        for item in items:
            barrier.wait()
            yield item

    first = Ahead(stage(range(4)))
    second = Ahead(stage(first))
    # The second stage has nothing to do for the first item, nor the first after the last: one wait is left over.
    threading.Timer(0.2, barrier.abort).start()
    with pytest.raises(threading.BrokenBarrierError):
        list(second)
    second.close()
    first.close()


def test_closing_ends_the_source_in_its_thread():
    ended_in = []

    def source():
        try:
            while True:
                yield 1
        finally:
            ended_in.append(threading.current_thread())

    kept = source()
    line = Ahead(kept)
    next(line)
    line.close()
    assert ended_in and ended_in != [threading.main_thread()]
