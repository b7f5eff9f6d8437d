import csv

import pytest

pytest.importorskip("tabulate")

from jointmat.evaluation.table import MISSING, number, table, write_csv

ROWS = [["source", "images", "SAD"], ["studio", "26", "5.28"], ["all", "103", "11.5"]]


def test_text_is_aligned():
    header, first, last = table(ROWS).splitlines()
    assert header.split() == ["source", "images", "SAD"]
    assert first.split() == ["studio", "26", "5.28"] and last.split() == ["all", "103", "11.5"]
    assert first.startswith("studio ") and first.endswith(" 5.28") and last.endswith(" 11.5")
    assert len(first) == len(last)


def test_markdown():
    lines = table(ROWS, "pipe").splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ROWS[0]
    assert set(lines[1]) == {"|", "-", ":"} and len(lines) == 4


def test_a_table_without_rows_has_a_header():
    assert table(ROWS[:1]).split() == ROWS[0]


def test_cells_keep_their_text():
    assert "1e3" in table([["a"], ["1e3"]]) and "007" in table([["a"], ["007"]])


def test_a_number_that_is_missing():
    assert (number(2 / 3, 2), number(5, 1), number(None)) == ("0.67", "5.0", MISSING)


def test_csv(tmp_path):
    path = tmp_path / "scores.csv"
    write_csv(path, [["name", "mean", "count"], ["a, b", 2 / 3, 1234567], ["c", None, 0]])
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["name", "mean", "count"],
            ["a, b", "0.666667", "1234567"],
            ["c", "", "0"],
        ]
