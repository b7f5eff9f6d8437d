"""Brush strokes over a trimap."""

import numpy as np
import pytest

from jointmat.serve.strokes import Stroke, painted


def stroke(label, *points, radius=3):
    return Stroke(label, radius, points)


@pytest.mark.parametrize(("label", "level"), [("keep", 255), ("remove", 0), ("unsure", 128)])
def test_each_label_has_its_level_and_the_last_lies_on_top(label, level):
    trimap = np.full((60, 80), 128, np.uint8)
    result = painted(trimap, [stroke("keep", (10, 10), (60, 10)), stroke(label, (30, 0), (30, 20))])
    assert result[10, 30] == level
    assert result[10, 55] == 255
    assert result[50, 70] == 128
    assert (trimap == 128).all()


def test_around_what_is_kept_the_edge_is_open():
    result = painted(np.zeros((200, 200), np.uint8), [stroke("keep", (100, 100), radius=20)])
    row = result[100]
    assert row[100] == 255
    assert row[124] == 128
    assert row[160] == 0
    result = painted(np.full((200, 200), 255, np.uint8), [stroke("remove", (100, 100), radius=20)])
    assert [result[100, x] for x in (100, 124, 160)] == [0, 128, 255]


def test_what_was_drawn_is_not_opened_again():
    near = [stroke("remove", (100, 100), radius=10), stroke("keep", (122, 100), radius=10)]
    result = painted(np.zeros((200, 200), np.uint8), near)
    assert result[100, 105] == 0


def test_strokes_beside_the_photo_change_nothing():
    trimap = np.full((20, 20), 255, np.uint8)
    assert np.array_equal(painted(trimap, [stroke("remove", (500.0, -900.0), (700, -900))]), trimap)
