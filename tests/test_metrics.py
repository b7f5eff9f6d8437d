"""The metrics against values worked by hand and against the MATLAB steps, written out slowly."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from jointmat import metrics
from jointmat.errors import InputError, InputTypeError, JointmatError

REGIONAL = (metrics.sad, metrics.mse, metrics.mad, metrics.grad, metrics.conn)
ALL = (*REGIONAL, metrics.iou, metrics.soft_mad)


# --- The reference, literally


def reference_grad(prediction, truth, region):
    """Pixel by pixel of the kernel: h(i, j) = g(i)·g'(j), then L2-normalised, then a true 2-D convolution."""
    sigma, epsilon = 1.4, 1e-2
    half = int(np.ceil(sigma * np.sqrt(-2 * np.log(np.sqrt(2 * np.pi) * sigma * epsilon))))
    assert half == 4
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    for i in range(2 * half + 1):
        for j in range(2 * half + 1):
            y, x = i - half, j - half
            gauss = [np.exp(-(u**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi)) for u in (y, x)]
            kernel[i, j] = gauss[0] * (-x * gauss[1] / sigma**2)
    kernel /= np.sqrt((np.abs(kernel) ** 2).sum())

    def amplitude(alpha):
        if alpha.max() > alpha.min():
            alpha = (alpha - alpha.min()) / (alpha.max() - alpha.min())
        x, y = (ndimage.convolve(alpha, h, mode="nearest") for h in (kernel, kernel.T))
        return np.sqrt(x**2 + y**2)

    return (((amplitude(prediction) - amplitude(truth)) ** 2) * region).sum() / 1000


def reference_conn(prediction, truth, region, structure=None):
    """One flood fill per threshold; -1 marks a pixel whose level is not found yet."""
    prediction, truth = prediction.astype(np.float32), truth.astype(np.float32)
    steps = np.arange(11).astype(np.float32) / np.float32(10)
    level = np.full(prediction.shape, -1, np.float32)
    for before, step in pairwise(steps):
        both = (prediction >= step) & (truth >= step)
        labels, count = ndimage.label(both.T, structure)  # transposed: components in column-major order
        sizes = [(labels == k).sum() for k in range(1, count + 1)]
        omega = (labels == 1 + int(np.argmax(sizes))).T if count else np.zeros_like(both)
        level[(level == -1) & ~omega] = before
    level[level == -1] = 1

    def phi(alpha):
        d = alpha - level
        return 1 - d * (d >= np.float32(0.15)).astype(np.float32)

    return (np.abs(phi(prediction) - phi(truth)) * region).sum(dtype=np.float64) / 1000


def eight_bit(alpha):
    return np.rint(alpha * 255) / 255


def noise(rng, height=37, width=53):
    return eight_bit(rng.random((height, width))), eight_bit(rng.random((height, width)))


def portrait(rng, height=90, width=70):
    """A blurred disk with hair-like lines and a detached speck, and a prediction that is off in each."""
    y, x = np.mgrid[:height, :width]
    truth = np.clip(1.5 - np.hypot(y - 45, x - 33) / 22, 0, 1)
    truth = np.maximum(truth, 0.8 * (np.sin(x / 1.7 + y / 5) > 0.9) * (y < 60))
    truth[80:84, 60:64] = 0.6
    prediction = ndimage.gaussian_filter(np.roll(truth, 1, axis=1), 1.2)
    prediction += 0.05 * rng.standard_normal(truth.shape)
    return eight_bit(prediction.clip(0, 1)), eight_bit(truth)


def few_levels(rng):
    """Many components of equal size and values that lie exactly on thresholds, such as 51/255 = 0.2."""
    levels = np.array([0, 51, 102, 153, 204, 255]) / 255
    return rng.choice(levels, (24, 31)), rng.choice(levels, (24, 31))


def wide(rng):
    return noise(rng, 3, 80)


PAIRS = (noise, portrait, few_levels, wide)


@pytest.mark.parametrize("make", PAIRS)
@pytest.mark.parametrize("seed", range(3))
def test_grad_and_conn_follow_the_reference_steps(make, seed):
    rng = np.random.default_rng(seed)
    prediction, truth = make(rng)
    for region in (np.ones(truth.shape, bool), rng.random(truth.shape) < 0.4):
        expected_grad = reference_grad(prediction, truth, region)
        expected_conn = reference_conn(prediction, truth, region)
        assert metrics.grad(prediction, truth, region) == pytest.approx(expected_grad, rel=1e-9)
        assert metrics.conn(prediction, truth, region) == pytest.approx(expected_conn, rel=1e-9)
    assert metrics.grad(prediction, truth) == metrics.grad(prediction, truth, np.ones(truth.shape, bool))
    assert metrics.conn(prediction, truth) == metrics.conn(prediction, truth, np.ones(truth.shape, bool))


@pytest.mark.parametrize("make", PAIRS)
def test_sums_and_means_agree_with_loops(make):
    rng = np.random.default_rng(7)
    prediction, truth = make(rng)
    region = rng.random(truth.shape) < 0.3
    delta = [prediction[at] - truth[at] for at in np.ndindex(truth.shape) if region[at]]
    assert metrics.sad(prediction, truth, region) == pytest.approx(sum(abs(d) for d in delta) / 1000)
    assert metrics.mad(prediction, truth, region) == pytest.approx(sum(abs(d) for d in delta) / len(delta))
    assert metrics.mse(prediction, truth, region) == pytest.approx(sum(d * d for d in delta) / len(delta))


# --- Values worked by hand


def test_sums_and_means_by_hand():
    truth = np.array([[0.0, 1.0], [0.5, 0.25]])
    prediction = np.array([[0.5, 1.0], [0.25, 0.25]])
    # |Δ| = .5, 0, .25, 0: sum .75, mean .1875; Δ² = .25, 0, .0625, 0: mean .078125.
    assert metrics.sad(prediction, truth) == pytest.approx(0.75e-3)
    assert metrics.mad(prediction, truth) == pytest.approx(0.1875)
    assert metrics.mse(prediction, truth) == pytest.approx(0.078125)
    # The left column alone: sum .75, mean .375, mean square .15625.
    left = np.array([[True, False], [True, False]])
    assert metrics.sad(prediction, truth, left) == pytest.approx(0.75e-3)
    assert metrics.mad(prediction, truth, left) == pytest.approx(0.375)
    assert metrics.mse(prediction, truth, left) == pytest.approx(0.15625)


def test_grad_of_a_vertical_edge_by_hand():
    # Nothing changes along y, so the y factor sums to G = Σ g(u)/‖g‖ and the 2-D filter is G times a 1-D one.
    # At a unit step the 1-D response at distance k is the sum of the derivative kernel's tail, Σ_{u ≥ −k}.
    u = np.arange(-4, 5)
    g = np.exp(-(u**2) / (2 * 1.4**2))
    d = u * g
    gain = g.sum() / np.linalg.norm(g)
    d = d / np.linalg.norm(d)
    step = np.zeros((5, 20))
    step[:, 10:] = 1
    # Pixel 10 + k sees ones at u ≥ -k; pixels 6 … 13 are those that the edge reaches.
    response = [gain * d[u >= -k].sum() for k in range(-4, 4)]
    # The prediction is constant, |∇p| = 0, so the error is Σ|∇t|² over 5 rows.
    expected = 5 * np.square(response).sum() / 1000
    assert metrics.grad(np.zeros_like(step), step) == pytest.approx(expected, rel=1e-12)
    # mat2gray stretches each map by itself, so a fainter edge at the same place is no gradient error.
    assert metrics.grad(0.25 + 0.5 * step, step) == pytest.approx(0, abs=1e-15)


def test_conn_of_a_detached_pixel_by_hand():
    # Both maps hold a bar of three and, apart from it, one pixel; the truth has .6 there, the prediction .9.
    # Ω is the bar at each threshold, so l = 1 on the bar and 0 at the pixel: d = .6 and .9, φ = .4 and .1.
    truth = np.array([[1.0, 1.0, 1.0, 0.0, 0.6]])
    prediction = np.array([[1.0, 1.0, 1.0, 0.0, 0.9]])
    assert metrics.conn(prediction, truth) == pytest.approx(0.3e-3, rel=1e-6)
    # The same values with a connection of 1: Ω holds the last pixel up to .6, the largest τ that both reach.
    # l = .6 there; d = 0 and .3, so φ = 1 and .7. The error is the same .3, now from the excess alone.
    truth[0, 3] = prediction[0, 3] = 1
    assert metrics.conn(prediction, truth) == pytest.approx(0.3e-3, rel=1e-6)


def test_conn_forgives_differences_below_fifteen_hundredths():
    # l = .6 at the last pixel as above; the prediction's d = .7 − .6 = .1 < .15 does not count: φ = 1 twice.
    truth = np.array([[1.0, 1.0, 0.6]])
    assert metrics.conn(np.array([[1.0, 1.0, 0.7]]), truth) == 0
    # d = .8 − .6 = .2 does count, in full.
    assert metrics.conn(np.array([[1.0, 1.0, 0.8]]), truth) == pytest.approx(0.2e-3, rel=1e-6)


def test_conn_takes_the_level_of_the_first_exit():
    # Left bar: three pixels of .25; right bar: two of 1. At τ = .1 and .2 the largest component is the left
    # bar, so the right bar leaves at .1 and keeps l = 0 although it is the largest from .3 on. Left: l = .2.
    # The prediction differs only at the right end: 1 against .8, d = 1 and .8, so φ = 0 and .2.
    truth = np.array([[0.25, 0.25, 0.25, 0.0, 1.0, 1.0]])
    prediction = np.array([[0.25, 0.25, 0.25, 0.0, 1.0, 0.8]])
    assert metrics.conn(prediction, truth) == pytest.approx(0.2e-3, rel=1e-6)


def test_iou_by_hand():
    truth = np.array([[1.0, 0.5, 0.4, 0.0]])
    prediction = np.array([[1.0, 0.4, 0.6, 0.0]])
    # ≥ .5: truth {0, 1}, prediction {0, 2}: 1 in both of 3. ≥ .4: {0, 1, 2} in both: 1. ≥ .6: {0} of {0, 2}.
    assert metrics.iou(prediction, truth) == pytest.approx(1 / 3)
    assert metrics.iou(prediction, truth, threshold=0.4) == 1
    assert metrics.iou(prediction, truth, threshold=0.6) == 0.5
    assert metrics.iou(np.zeros((3, 3)), np.zeros((3, 3))) == 1
    assert metrics.iou(np.ones((3, 3)), np.zeros((3, 3))) == 0


def test_soft_mad_by_hand():
    # 255·t = 0, .255, 1.02, 127.5, 254.4, 254.9, 255: the third to the fifth are soft; |Δ| = .004, .5, .0024.
    truth = np.array([[0.0, 0.001, 0.004, 0.5, 0.9976, 0.9996, 1.0]])
    prediction = np.array([[0.9, 0.9, 0.0, 0.0, 1.0, 0.0, 0.0]])
    assert metrics.soft_mad(prediction, truth) == pytest.approx((0.004 + 0.5 + 0.0024) / 3)
    assert metrics.soft_mad(prediction, np.rint(truth)) == 0


# --- Properties


@pytest.mark.parametrize("make", PAIRS)
def test_a_perfect_prediction_scores_zero_and_both_orders_score_alike(make):
    prediction, truth = make(np.random.default_rng(3))
    region = truth > 0.1
    for metric in REGIONAL:
        assert metric(truth, truth, region) == 0
        score = metric(prediction, truth, region)
        assert score > 0
        assert metric(truth, prediction, region) == pytest.approx(score, rel=1e-12)
    assert metrics.iou(truth, truth) == 1
    assert metrics.iou(prediction, truth) == metrics.iou(truth, prediction) < 1
    assert metrics.soft_mad(truth, truth) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (2, 2), (9, 9)])
@pytest.mark.parametrize("values", [(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5), (0.3, 0.7)])
def test_constant_maps_give_finite_scores(shape, values):
    prediction, truth = (np.full(shape, v, np.float64) for v in values)
    scores = metrics.evaluate(prediction, truth)
    assert all(np.isfinite(value) for value in scores.values())
    assert scores["grad"] == 0
    assert scores["mad"] == pytest.approx(abs(values[0] - values[1]))


def test_regions_add_up():
    rng = np.random.default_rng(5)
    prediction, truth = portrait(rng)
    region = rng.random(truth.shape) < 0.5
    for metric in (metrics.sad, metrics.grad, metrics.conn):
        parts = metric(prediction, truth, region) + metric(prediction, truth, ~region)
        assert parts == pytest.approx(metric(prediction, truth))


def test_eight_connectivity_would_score_a_diagonal_lower():
    # A diagonal of eight .5 pixels (prediction .4) that hangs on a block by its corner. 4-connectivity sees
    # each alone, l = 0: φ = .5 and .6. 8-connectivity joins them to the block, l = .4: d = .1 < .15 and 0.
    truth = np.zeros((12, 12))
    truth[:4, :4] = 1
    diagonal = np.arange(4, 12)
    truth[diagonal, diagonal] = 0.5
    prediction = truth.copy()
    prediction[diagonal, diagonal] = 0.4
    everything = np.ones(truth.shape, bool)
    eight = reference_conn(prediction, truth, everything, structure=np.ones((3, 3)))
    assert metrics.conn(prediction, truth) == pytest.approx(8 * 0.1e-3, rel=1e-5)
    assert eight == 0


def test_double_precision_thresholds_would_score_otherwise():
    # The alpha 153/255 reaches the threshold .6 in single precision, where l = .6 and the prediction's excess
    # 191/255 − .6 = .149 < .15 is forgiven. In double precision 6·.1 = .6000…01 is above 153/255: l = .5, and
    # the excess .249 would count.
    assert 6 * 0.1 > 153 / 255
    truth = np.array([[1.0, 1.0, 153 / 255]])
    prediction = np.array([[1.0, 1.0, 191 / 255]])
    assert metrics.conn(prediction, truth) == 0


def test_of_equal_components_the_first_by_columns_counts():
    # Two lone pixels. MATLAB numbers components column by column, so the lower left one is Ω up to τ = .9 and
    # has l = .9 there: d = 0 and 1 − .9 = .1 < .15, no error; the upper right one has l = 0 in both maps.
    # Row by row it would be the other way round: φ = .1 and 0 at the lower left.
    truth = np.array([[0.0, 1.0], [1.0, 0.0]])
    prediction = np.array([[0.0, 1.0], [0.9, 0.0]])
    assert metrics.conn(prediction, truth) == 0


def test_the_background_is_no_component():
    # The maps share nothing at any τ, so l = 0 everywhere: d = .9 and 0 at each end, Σ|φp − φt| = .9 + .9.
    # A port that counts the background as a component would call every pixel connected, l = 1, and score 0.
    prediction, truth = np.array([[0.9, 0.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 0.0, 0.9]])
    assert metrics.conn(prediction, truth) == pytest.approx(1.8e-3, rel=1e-6)


def test_evaluate_names_every_metric():
    prediction, truth = portrait(np.random.default_rng(1))
    region = (truth > 0) & (truth < 1)
    scores = metrics.evaluate(prediction, truth, region)
    assert list(scores) == [metric.__name__ for metric in ALL]
    assert all(type(value) is float for value in scores.values())
    assert scores["conn"] == metrics.conn(prediction, truth, region)
    assert scores["iou"] == metrics.iou(prediction, truth)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_float_layout_is_read_and_left_alone(dtype):
    prediction, truth = (alpha.astype(dtype) for alpha in noise(np.random.default_rng(2)))
    expected = metrics.evaluate(prediction.astype(np.float64), truth.astype(np.float64))
    flipped = [np.asfortranarray(alpha)[::-1, ::-1].copy()[::-1, ::-1] for alpha in (prediction, truth)]
    for alpha in flipped:
        alpha.setflags(write=False)
    assert metrics.evaluate(*flipped) == pytest.approx(expected)


def test_rounding_beyond_the_range_is_forgiven():
    truth = np.ones((4, 4))
    assert metrics.sad(truth + 5e-7, truth) == 0
    assert metrics.sad(-truth * 5e-7, truth - 1) == 0


# --- Errors

GOOD = np.full((4, 6), 0.5)


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize(
    ("prediction", "truth", "error", "text"),
    [
        (GOOD[:, :5], GOOD, InputError, "prediction is 4x5 and truth 4x6"),
        (GOOD[None], GOOD[None], InputError, "prediction: expected HxW with at least one pixel, got 1x4x6"),
        (GOOD, GOOD[..., None], InputError, "truth: expected HxW with at least one pixel, got 4x6x1"),
        (GOOD[:0], GOOD[:0], InputError, "got 0x6"),
        (GOOD + 1, GOOD, InputError, r"prediction: expected values in \[0, 1\], got 1.5 to 1.5"),
        (GOOD, -GOOD, InputError, r"truth: expected values in \[0, 1\], got -0.5 to -0.5"),
        (GOOD * np.nan, GOOD, InputError, "prediction: expected finite values, got 24 NaN or inf"),
        (GOOD, GOOD * np.inf, InputError, "truth: expected finite values, got 24 NaN or inf"),
        (np.full((4, 6), 128, np.uint8), GOOD, InputTypeError, "got uint8 array; divide 8-bit alpha by 255"),
        (GOOD, GOOD > 0, InputTypeError, "truth: expected a float array, got bool array"),
        (GOOD, GOOD + 0j, InputTypeError, "truth: expected a float array, got complex128 array"),
        (GOOD.tolist(), GOOD, InputTypeError, "prediction: expected a float array, got list"),
    ],
)
def test_maps_that_cannot_be_scored(metric, prediction, truth, error, text):
    with pytest.raises(error, match=text):
        metric(prediction, truth)


@pytest.mark.parametrize("metric", [*REGIONAL, metrics.evaluate])
@pytest.mark.parametrize(
    ("region", "error", "text"),
    [
        (np.full((4, 6), 128, np.uint8), InputTypeError, "region: expected a bool array .*, got uint8 array"),
        ([[True]], InputTypeError, "region: expected a bool array .*, got list"),
        (np.ones((6, 4), bool), InputError, "region is 6x4 and truth 4x6"),
        (np.zeros((4, 6), bool), InputError, "at least one pixel that is True, got none"),
    ],
)
def test_regions_that_cannot_be_scored(metric, region, error, text):
    with pytest.raises(error, match=text) as caught:
        metric(GOOD, GOOD, region)
    assert isinstance(caught.value, JointmatError)


@pytest.mark.parametrize("threshold", [0, -0.1, 1.5, float("nan")])
def test_thresholds_that_cannot_be_used(threshold):
    with pytest.raises(InputError, match=r"expected a number in \(0, 1\]"):
        metrics.iou(GOOD, GOOD, threshold)


def test_scoring_needs_no_torch():
    code = "import sys, jointmat.metrics; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
