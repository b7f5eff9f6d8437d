import numpy as np
import pytest

from jointmat.video.window import around, both, box_of, following, is_cut, whole

STRIDE = 32
FRAME = whole((720, 1280), 320, STRIDE)


def inside(window, size):
    rows, columns = window.rows, window.columns
    return 0 <= rows.start < rows.stop <= size[0] and 0 <= columns.start < columns.stop <= size[1]


@pytest.mark.parametrize("seed", range(40))
def test_a_window_holds_the_box_at_the_cost_of_the_whole_frame(seed):
    rng = np.random.default_rng(seed)
    size = tuple(int(n) for n in 2 * rng.integers(20, 700, 2))
    frame = whole(size, 320, STRIDE)
    top, left = (int(rng.integers(0, n - 2)) for n in size)
    box = (top, int(rng.integers(top + 1, size[0])), left, int(rng.integers(left + 1, size[1])))
    window = around(box, frame, STRIDE)
    geometry = window.geometry
    assert window.holds(box) and inside(window, size)
    assert window.rows.start % 2 == window.columns.start % 2 == 0
    assert geometry.original == (
        window.rows.stop - window.rows.start,
        window.columns.stop - window.columns.start,
    )
    assert geometry.padded[0] * geometry.padded[1] <= frame.geometry.padded[0] * frame.geometry.padded[1]
    assert all(n % STRIDE == 0 and r <= n for n, r in zip(geometry.padded, geometry.resized, strict=True))
    across, down = (geometry.resized[i] / geometry.original[i] for i in (1, 0))
    assert across == pytest.approx(down, abs=4 / min(geometry.original))  # nothing is stretched


def test_a_small_subject_is_seen_larger_and_a_large_one_in_the_whole_frame():
    small, middle = around((600, 690, 500, 560), FRAME, STRIDE), around((150, 720, 400, 800), FRAME, STRIDE)
    assert small.scale == pytest.approx(2, rel=0.05) and FRAME.scale < middle.scale < small.scale
    assert around((60, 720, 100, 1200), FRAME, STRIDE) is FRAME


def test_the_window_stays_while_the_subject_moves_a_little():
    box = (300, 500, 500, 600)
    window = around(box, FRAME, STRIDE)
    assert following(window, (305, 505, 506, 606), FRAME, STRIDE) is window
    moved = following(window, (300, 500, 560, 660), FRAME, STRIDE)
    assert moved != window and moved.holds((300, 500, 560, 660))
    assert following(window, (380, 440, 540, 560), FRAME, STRIDE).scale > window.scale


def test_the_box_of_all_people_without_crumbs():
    alpha = np.zeros((192, 320), np.float32)
    assert box_of(alpha, FRAME) is None
    alpha[40:100, 20:60] = alpha[90:170, 200:240] = 1
    alpha[5:8, 300:303] = 1
    assert box_of(alpha, FRAME) == (160, 680, 80, 960)
    assert both((1, 9, 4, 8), (3, 12, 2, 5)) == (1, 12, 2, 8)


def test_a_subject_is_cut_where_the_frame_goes_on():
    window = around((600, 720, 500, 560), FRAME, STRIDE)
    rows, columns = window.rows, window.columns
    within = (rows.start + 5, rows.stop, columns.start + 5, columns.stop - 5)
    assert rows.stop == 720 and not is_cut(within, window, (720, 1280))
    assert is_cut((rows.start, *within[1:]), window, (720, 1280))
    assert is_cut((*within[:3], columns.stop), window, (720, 1280))


def test_places_go_from_one_window_to_another_and_back():
    first, second = around((300, 500, 500, 600), FRAME, STRIDE), around((310, 400, 560, 640), FRAME, STRIDE)
    for window, other in ((first, second), (second, first), (FRAME, first)):
        found = window.place_of(other) @ [*seen_at(other, 600, 380), 1]
        np.testing.assert_allclose(found, seen_at(window, 600, 380), atol=1e-6)


def seen_at(window, x, y):
    """Where the network sees a corner of the frame's pixels."""
    places = ((x, window.columns, 1), (y, window.rows, 0))
    return [
        (place - part.start) * window.geometry.resized[side] / window.geometry.original[side] - 0.5
        for place, part, side in places
    ]
