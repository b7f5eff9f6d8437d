"""The record of a training, from which every source and setting of its runs and averages can be read."""

import copy
import json
from pathlib import Path

import pytest

from jointmat.record import flattened, joined_sources, stages_of, with_average, with_run

ROOT = Path(__file__).parent.parent
ONLY_AT_FIRST = {"source": "portraits", "licence": "CC-BY-4.0", "pictures": 7}
LATER = {"source": "street", "licence": "CC0", "pictures": 3}
ENCODER = {"source": "an encoder", "licence": "MIT"}
SETTINGS = [
    {"name": "one", "data": {"seed": 1, "shapes": [[64, 64]], "gone": None}, "loss": {}},
    {"name": "two", "data": {"seed": 2, "shapes": [[64, 64]]}, "loss": {"new": False}},
    {"name": "three", "data": {"seed": 2, "shapes": [[64, 64], [96, 64]]}, "loss": {"new": False}},
]


def run(n):
    return {"steps": n, "samples": 10 * n, "hours": n / 4, "machine": "a laptop, 1 threads"}


def weights(n):
    return {"weights": f"{n}.safetensors", "sha256": f"sum of {n}"}


@pytest.fixture
def chain():
    """The records of three runs, each from the weights of the one before."""
    one = with_run({}, ENCODER, run(1), [ONLY_AT_FIRST], SETTINGS[0])
    two = with_run(one, weights(1), run(2), [LATER], SETTINGS[1])
    return [one, two, with_run(two, weights(2), run(3), [LATER], SETTINGS[2])]


@pytest.fixture
def averages(chain):
    """The average of the second run and the third, and the average of that and the first."""
    near = with_average(chain[1:], [weights(2), weights(3)], 0.5)
    return [near, with_average([near, chain[0]], [weights("near"), weights(1)], 0.25)]


def old(n, **more):
    """The tree that a record was: of run n of the chain."""
    start = {**weights(n - 1), "training": old(n - 1)} if n > 1 else ENCODER
    sources = [LATER] if n > 1 else [ONLY_AT_FIRST]
    return {**run(n), "started_from": start, "sources": sources, "settings": SETTINGS[n - 1], **more}


def test_sources_of_two_data_sets_are_joined():
    first, second = ({"source": "a", "licence": "CC0", "pictures": n} for n in (3, 5))
    other, again = ({"source": s, "licence": "MIT", "pictures": 1} for s in ("b", "a"))
    assert joined_sources([first, other], [second, again]) == [second, again, other]


def test_a_source_of_the_first_stage_alone_is_still_listed(chain, averages):
    for record in (*chain[1:], *averages):
        assert record["sources"] == [ONLY_AT_FIRST, LATER]
        assert json.dumps(record).count("portraits") == 1
    assert chain[2]["stages"][0]["started_from"] == ENCODER


def test_samples_and_hours_are_of_all_runs_and_those_of_each_are_listed(chain, averages):
    for record in (chain[2], *averages):
        assert (record["samples"], record["hours"]) == (60, 1.5)
        assert record["machines"] == ["a laptop, 1 threads"]
        assert [stage["steps"] for stage in record["stages"] if "steps" in stage] == [1, 2, 3]


def test_the_settings_stand_in_full_once_and_every_run_says_what_it_changed(chain):
    first, second, third = chain[2]["stages"]
    assert chain[2]["settings"] == SETTINGS[2]
    assert "changed" not in first
    assert second["changed"] == {
        "name": {"from": "one", "to": "two"},
        "data.seed": {"from": 1, "to": 2},
        "data.gone": {"from": None},
        "loss": {"from": {}},
        "loss.new": {"to": False},
    }
    assert third["changed"].keys() == {"name", "data.shapes"}


def test_the_settings_of_every_stage_can_be_restored(chain, averages):
    for made in (chain[2], *averages):
        record = json.loads(json.dumps(made))  # as a file gives it back
        before = copy.deepcopy(record)
        runs = [stage for stage in stages_of(record) if "started_from" in stage]
        assert [one["settings"] for one in runs] == SETTINGS
        assert record == before


def test_an_average_names_its_two_ends_and_lists_what_both_went_through_once(averages):
    assert [stage["stage"] for stage in averages[1]["stages"]] == [1, 2, 3, 4, 5]
    *_, near, far = averages[1]["stages"]
    assert near["average_of"] == [{"stage": 2, **weights(2)}, {"stage": 3, **weights(3)}]
    assert far["average_of"] == [{"stage": 4, **weights("near")}, {"stage": 1, **weights(1)}]
    assert (near["share_of_second"], far["share_of_second"]) == (0.5, 0.25)


def test_stages_of_two_branches_keep_their_own_starts(chain):
    """Both went on from the second run, and both are averaged in the end."""
    left, right = (
        with_run(chain[1], weights(2), run(n), [LATER], {**SETTINGS[2], "name": f"branch {n}"}) for n in (4, 5)
    )
    right = with_run(right, weights(5), run(6), [], SETTINGS[0])
    joined = with_average([left, right], [weights(4), weights(6)], 0.5)
    starts = [stage["started_from"].get("stage") for stage in joined["stages"][:-1]]
    assert starts == [None, 1, 2, 2, 4]
    assert [end["stage"] for end in joined["stages"][-1]["average_of"]] == [3, 5]
    assert [stage["settings"]["name"] for stage in stages_of(joined)[:-1]] == [
        *("one", "two", "branch 4", "branch 5", "one")
    ]


def test_weights_that_do_not_say_how_they_were_trained_are_named(chain):
    assert flattened({}) == {} and stages_of({}) == []
    record = with_run({}, weights("x"), run(1), [], {})
    assert record["stages"][0]["started_from"] == weights("x")
    ends = with_average([{}, chain[0]], [weights("x"), weights(1)], 0.5)["stages"][-1]["average_of"]
    assert ends == [weights("x"), {"stage": 1, **weights(1)}]
    ends = with_average([chain[0], {}], [weights(1), weights("x")], 0.5)["stages"][-1]["average_of"]
    assert ends == [{"stage": 1, **weights(1)}, weights("x")]


def test_a_record_of_the_older_form_is_read_as_this_one(chain):
    assert flattened(old(3)) == chain[2]
    assert flattened(chain[2]) == chain[2]
    averaged = old(3, averaged={"with": old(2), "sha256": "sum of 2", "share_of_this": 0.5})
    expected = with_average(chain[1:], [{"sha256": "sum of 2"}, {}], 0.5)
    assert flattened(averaged) == expected
    goes_on = {**run(4), "started_from": {**weights(4), "training": averaged}, "settings": SETTINGS[0]}
    assert flattened(goes_on) == with_run(expected, weights(4), run(4), [], SETTINGS[0])
    # A run that goes on from a checkpoint of then, or from weights of then.
    assert with_run(averaged, weights(4), run(4), [], SETTINGS[0]) == flattened(goes_on)


def test_the_card_of_the_bundled_weights_says_what_their_file_says():
    pytest.importorskip("torch")
    from jointmat.weights import read_training

    card = json.loads((ROOT / "weights" / "lite.json").read_text(encoding="utf-8"))
    assert card["training"] == read_training(ROOT / "weights" / "lite.safetensors")
