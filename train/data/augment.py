"""Degradations by cameras, editors and messengers. float32 RGB (H, W, 3) in [0, 1], in and out."""

import cv2
import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def jitter_colour(rng: np.random.Generator, image: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Exposure, contrast, gamma, saturation and colour temperature, each a little."""
    exposure = np.exp(strength * rng.normal(0, 0.2))
    contrast = np.exp(strength * rng.normal(0, 0.12))
    gamma = np.exp(strength * rng.normal(0, 0.15))
    saturation = max(0.0, 1 + strength * rng.normal(0, 0.25))
    temperature, tint = strength * rng.normal(0, 0.06, 2)
    gain = exposure * np.exp(np.array([temperature, tint, -temperature]))
    levels = np.clip(np.linspace(0, 1, 1024)[:, None] * gain, 0, 1) ** gamma  # of each colour: no power a pixel
    index = np.rint(image * np.float32(1023)).astype(np.uint16)
    image = np.dstack([levels[:, c].astype(np.float32)[index[..., c]] for c in range(3)])
    mean = image.mean(dtype=np.float32)
    to_grey = np.outer(np.ones(3), _LUMA)
    mix = (contrast * (saturation * np.eye(3) + (1 - saturation) * to_grey)).astype(np.float32)
    return np.clip(cv2.transform(image, mix) + np.float32((1 - contrast) * mean), 0, 1)


def shadow(rng: np.random.Generator, background: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The background darkened where the subject (H, W) keeps the light off: its outline, moved and blurred."""
    height, width = alpha.shape
    reduction = 4
    small = cv2.resize(
        alpha, (max(1, width // reduction), max(1, height // reduction)), interpolation=cv2.INTER_AREA
    )
    dx, dy = rng.normal(0, 0.08, 2) * min(small.shape)
    moved = cv2.warpAffine(small, np.array([[1, 0, dx], [0, 1, dy]]), small.shape[::-1])
    soft = cv2.GaussianBlur(moved, (0, 0), float(rng.uniform(0.01, 0.1)) * min(small.shape) + 0.5)
    strength = np.float32(rng.uniform(0.15, 0.75))
    return background * (1 - strength * cv2.resize(soft, (width, height)))[..., None]


def degrade(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Blur, lost resolution, noise, grey and JPEG: each with its own odds, mild more often than strong."""
    if rng.random() < 0.08:
        image = np.repeat((image @ _LUMA)[..., None], 3, axis=2)
        if rng.random() < 0.5:
            image = _aged(rng, image)
    if rng.random() < 0.12:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.4)))
    if rng.random() < 0.12:
        image = _lose_resolution(image, float(np.exp(rng.uniform(np.log(0.2), np.log(0.9)))))
    if rng.random() < 0.25:
        sigma = float(rng.exponential(0.015))
        image = image + rng.standard_normal(image.shape, np.float32) * np.float32(min(sigma, 0.08))
    image = np.clip(image, 0, 1)
    if rng.random() < 0.4:
        image = _jpeg(image, int(rng.triangular(30, 85, 98)))
    return image


def plain_background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A studio wall: one colour, lit from one side, with a little grain."""
    height, width = size
    corners = rng.uniform(0, 1, 3) + rng.normal(0, 0.12, (2, 2, 3))
    if rng.random() < 0.4:  # white, grey and black walls are the common ones
        corners = np.repeat(corners.mean(axis=2, keepdims=True), 3, axis=2)
    wall = cv2.resize(corners.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    grain = rng.standard_normal((height, width, 3), np.float32) * np.float32(rng.uniform(0, 0.02))
    return np.clip(wall + grain, 0, 1)


def _aged(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Grey to an old print: faded, brownish, grainy."""
    fade = float(rng.uniform(0, 0.35))
    tone = 1 - np.array([0, 0.12, 0.3], np.float32) * np.float32(rng.uniform(0, 1))
    grain = rng.standard_normal(image.shape[:2], np.float32) * np.float32(rng.uniform(0, 0.06))
    return np.clip((fade + (1 - 1.5 * fade) * image + grain[..., None]) * tone, 0, 1)


def _lose_resolution(image: np.ndarray, factor: float) -> np.ndarray:
    height, width = image.shape[:2]
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    ok, data = cv2.imencode(".jpg", np.rint(image * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise RuntimeError(f"JPEG of quality {quality} failed for an image of {image.shape}")
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return decoded.astype(np.float32) / 255
