"""The matting metrics of the field, with the scales that its tables print.

The reference is the MATLAB code that came with Deep Image Matting (Xu et al., CVPR 2017), whose SAD, MSE,
gradient and connectivity errors follow Rhemann et al., "A Perceptually Motivated Online Benchmark for Image
Matting", CVPR 2009. Python ports disagree with it, and so with each other, by several per cent; this file
follows the MATLAB steps.

All functions take `prediction` and `truth`, (H, W) float arrays in [0, 1], and change neither. Those with a
`region` sum or average over the pixels where that boolean (H, W) map is True; None is the whole image.
Papers on portraits score the whole image; Composition-1k scores `trimap == 128`, after the known pixels
have been set from the trimap and alpha has been rounded to 8 bit. A number means nothing without its region
and scale: print all three.

Every function raises `InputError` for shapes, values or regions that cannot be scored, and `InputTypeError`
for arrays of another dtype.
"""

from itertools import pairwise

import cv2
import numpy as np

from jointmat.errors import InputError, InputTypeError

_TOLERANCE = 1e-6  # by how much rounding may leave [0, 1]

_SIGMA = 1.4  # pixels; of the Gaussian whose derivative the gradient error measures with
_HALF_WIDTH = 4  # pixels; ⌈σ·√(−2·ln(√(2π)·σ·ε))⌉ with ε = 0.01, where the Gaussian has decayed to ε

# Single precision, as in the reference: the 8-bit alpha 153/255 lies exactly on the threshold 0.6; in double
# precision it lies below 6·0.1, which changes the error by −0.26 %.
_THRESHOLDS = np.arange(11, dtype=np.float32) / np.float32(10)
_DISCONNECTED = np.float32(0.15)  # smallest difference from its connected level that counts against a pixel


def sad(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> float:
    """Sum of absolute differences, Σ|p − t| / 1000."""
    return float(np.abs(_difference(prediction, truth, region)).sum() / 1000)


def mse(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> float:
    """Mean squared error, Σ(p − t)² / n over the n pixels of the region; not scaled."""
    return float(np.square(_difference(prediction, truth, region)).mean())


def mad(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> float:
    """Mean absolute difference, Σ|p − t| / n over the n pixels of the region; not scaled."""
    return float(np.abs(_difference(prediction, truth, region)).mean())


def grad(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> float:
    """Gradient error, Σ(|∇p| − |∇t|)² / 1000.

    ∇ is the first derivative of a Gaussian, σ = 1.4 pixels, over 9×9 pixels with the border replicated; the
    kernel has unit L2 norm. Each map is first stretched to [0, 1] by its own minimum and maximum
    (`mat2gray`); a constant map has the gradient 0. The gradient reads the whole image, the sum runs over the
    region.
    """
    prediction, truth, inside = _checked(prediction, truth, region)
    error = np.square(_gradient_amplitude(prediction) - _gradient_amplitude(truth))
    return float(error[inside].sum() / 1000)


def conn(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> float:
    """Connectivity error, Σ|φ(p) − φ(t)| / 1000.

    For each threshold τ = 0.1, 0.2, … 1, Ω_τ is the largest 4-connected component of (p ≥ τ) ∧ (t ≥ τ). A
    pixel is connected up to the level l: the threshold before the first τ at which it lies outside of Ω_τ, or
    1. Its degree of connectivity is φ(x) = 1 − d·[d ≥ 0.15] with d = x − l. Levels are found on the whole
    image, the sum runs over the region.
    """
    prediction, truth, inside = _checked(prediction, truth, region)
    prediction, truth = prediction.astype(np.float32), truth.astype(np.float32)
    level = _connected_level(prediction, truth)
    error = np.abs(_connectivity(prediction, level) - _connectivity(truth, level))
    return float(error[inside].sum(dtype=np.float64) / 1000)


def iou(prediction: np.ndarray, truth: np.ndarray, threshold: float = 0.5) -> float:
    """Intersection over union of the masks p ≥ threshold and t ≥ threshold; 1 where both are empty."""
    prediction, truth, _ = _checked(prediction, truth, None)
    if not 0 < threshold <= 1:
        raise InputError(f"threshold={threshold}: expected a number in (0, 1]")
    predicted, true = prediction >= threshold, truth >= threshold
    union = np.count_nonzero(predicted | true)
    return float(np.count_nonzero(predicted & true) / union) if union else 1.0


def soft_mad(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference where the truth is translucent, 0 < round(255·t) < 255: hair, blur, veils.

    Needs no trimap, and says what the mean over a portrait hides, of which a few per cent are translucent. 0
    where no pixel is.
    """
    prediction, truth, _ = _checked(prediction, truth, None)
    eight_bit = np.rint(255 * truth)
    soft = (eight_bit > 0) & (eight_bit < 255)
    return float(np.abs(prediction - truth)[soft].mean()) if soft.any() else 0.0


def evaluate(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> dict[str, float]:
    """All metrics of this file by their names.

    `region` applies to sad, mse, mad, grad and conn; iou and soft_mad are of the whole image.
    """
    scores = {metric.__name__: metric(prediction, truth, region) for metric in (sad, mse, mad, grad, conn)}
    return scores | {"iou": iou(prediction, truth), "soft_mad": soft_mad(prediction, truth)}


def _gradient_amplitude(alpha: np.ndarray) -> np.ndarray:
    """|∇α| of a stretched map; (H, W) float64."""
    low, high = alpha.min(), alpha.max()
    alpha = (alpha - low) / ((high - low) or 1)
    x = np.arange(-_HALF_WIDTH, _HALF_WIDTH + 1, dtype=np.float64)
    gaussian = np.exp(-0.5 * np.square(x / _SIGMA))
    derivative = -x * gaussian
    # The norm of an outer product is the product of the norms: each factor is normalised by itself.
    gaussian /= np.linalg.norm(gaussian)
    derivative /= np.linalg.norm(derivative)
    along_x = cv2.sepFilter2D(alpha, cv2.CV_64F, derivative, gaussian, borderType=cv2.BORDER_REPLICATE)
    along_y = cv2.sepFilter2D(alpha, cv2.CV_64F, gaussian, derivative, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(along_x, along_y)


def _connected_level(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Threshold up to which each pixel belongs to the largest component; (H, W) float32."""
    level = np.ones_like(prediction)
    connected = np.ones(prediction.shape, bool)
    both = np.minimum(prediction, truth)
    for previous, threshold in pairwise(_THRESHOLDS):
        component = _largest_component(both >= threshold)
        level[connected & ~component] = previous
        connected &= component
        if not connected.any():
            break
    return level


def _largest_component(mask: np.ndarray) -> np.ndarray:
    """Largest 4-connected component of a boolean map; an empty map gives itself.

    Of several of one size the reference takes that which comes first column by column, hence the transposes.
    """
    columns = np.ascontiguousarray(mask.T, dtype=np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(columns, connectivity=4, ltype=cv2.CV_32S)
    areas = stats[1:, cv2.CC_STAT_AREA]  # label 0 is the background, not a component
    if areas.size == 0:
        return mask
    return np.equal(labels.T, 1 + areas.argmax())


def _connectivity(alpha: np.ndarray, level: np.ndarray) -> np.ndarray:
    """φ(α): 1 where alpha is connected at its own value, less by the part above the connected level."""
    above = alpha - level
    return 1 - above * (above >= _DISCONNECTED)


def _difference(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None) -> np.ndarray:
    """p − t at the pixels of the region; 1-D float64."""
    prediction, truth, inside = _checked(prediction, truth, region)
    return (prediction - truth)[inside]


def _checked(
    prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both maps as float64 in [0, 1] and the region as a boolean map, or InputError."""
    prediction, truth = _checked_alpha("prediction", prediction), _checked_alpha("truth", truth)
    if prediction.shape != truth.shape:
        raise InputError(
            f"prediction is {_size(prediction)} and truth {_size(truth)}: expected the same size; resize the "
            "prediction"
        )
    if region is None:
        return prediction, truth, np.ones(truth.shape, bool)
    if not isinstance(region, np.ndarray) or region.dtype != np.bool_:
        raise InputTypeError(f"region: expected a bool array such as trimap == 128, got {_kind(region)}")
    if region.shape != truth.shape:
        raise InputError(f"region is {_size(region)} and truth {_size(truth)}: expected the same size")
    if not region.any():
        raise InputError("region: expected at least one pixel that is True, got none; skip this image")
    return prediction, truth, region


def _checked_alpha(name: str, alpha: np.ndarray) -> np.ndarray:
    if not isinstance(alpha, np.ndarray) or not np.issubdtype(alpha.dtype, np.floating):
        raise InputTypeError(f"{name}: expected a float array, got {_kind(alpha)}; divide 8-bit alpha by 255")
    if alpha.ndim != 2 or alpha.size == 0:
        raise InputError(f"{name}: expected HxW with at least one pixel, got {_size(alpha)}")
    if bad := np.count_nonzero(~np.isfinite(alpha)):
        raise InputError(f"{name}: expected finite values, got {bad} NaN or inf")
    low, high = float(alpha.min()), float(alpha.max())
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        raise InputError(f"{name}: expected values in [0, 1], got {low:g} to {high:g}")
    return alpha.astype(np.float64).clip(0, 1)


def _size(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape)) or "a scalar"


def _kind(value: object) -> str:
    return f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
