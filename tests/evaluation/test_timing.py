from jointmat.evaluation import timing
from jointmat.evaluation.timing import in_turns, least_and_median, ratio, timed, warm


def clock(monkeypatch, step=0.5):
    """Every look at the clock is `step` seconds after the one before."""
    times = iter(step * i for i in range(1000))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(times))


def test_one_call_is_timed(monkeypatch):
    clock(monkeypatch)
    assert timed(lambda: "result") == ("result", 500)


def test_a_warm_call_is_the_second(monkeypatch):
    calls = []
    clock(monkeypatch)
    assert warm(lambda: calls.append(1)) == 500 and len(calls) == 2


def test_every_round_takes_each_once_and_the_first_is_dropped():
    calls = []

    def measure(name):
        calls.append(name)
        return len(calls)

    found = in_turns({"a": lambda: measure("a"), "b": lambda: measure("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert found == {"a": [3, 5], "b": [4, 6]}


def test_what_is_shown_of_the_rounds():
    assert least_and_median([20.4, 40.0, 25.2]) == "20 / 25"
    assert ratio([2.0, 30.0, 2.0], [1.0, 10.0, 2.0]) == 2.0, "of the same round"
