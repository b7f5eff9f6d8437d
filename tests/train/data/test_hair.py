import cv2
import numpy as np

from train.data.compose import Layer
from train.data.hair import add_hair


def head(colour=(0.5, 0.25, 0.125)):
    alpha = np.zeros((128, 96), np.float32)
    cv2.ellipse(alpha, (48, 80), (26, 48), 0, 0, 360, 1.0, -1)
    return Layer(np.broadcast_to(np.float32(colour), (128, 96, 3)).copy(), alpha)


def test_strands_only_add_to_the_subject_and_keep_its_inside():
    layer = head()
    haired = add_hair(np.random.default_rng(0), layer)
    assert (haired.alpha >= layer.alpha - 1e-6).all() and haired.alpha.max() <= 1
    assert (haired.alpha > layer.alpha + 0.1).sum() > 20
    np.testing.assert_allclose(haired.colour[layer.alpha == 1], layer.colour[layer.alpha == 1], atol=1e-6)


def test_strands_are_thin_and_grow_from_the_upper_part():
    layer = head()
    added = add_hair(np.random.default_rng(1), layer).alpha - layer.alpha
    assert ((added > 0.05) & (added < 0.95)).sum() > (added >= 0.95).sum()
    assert not added[100:].any()


def test_strands_have_the_colour_beneath():
    layer = head()
    layer.colour[layer.alpha == 0] = 1.0  # what lies outside must not matter
    haired = add_hair(np.random.default_rng(2), layer)
    strands = (haired.alpha > 0.1) & (layer.alpha == 0)
    np.testing.assert_allclose(haired.colour[strands].mean(axis=0), (0.5, 0.25, 0.125), atol=0.02)


def test_nobody_gets_no_hair():
    empty = Layer(np.zeros((32, 32, 3), np.float32), np.zeros((32, 32), np.float32))
    assert add_hair(np.random.default_rng(0), empty) is empty
    full = empty._replace(alpha=np.ones((32, 32), np.float32))
    assert add_hair(np.random.default_rng(0), full) is full
