import numpy as np
import pytest

from jointmat.preprocess import plan, postprocess, preprocess, preprocess_trimap

SIZES = [
    (1, 1),
    (1, 2),
    (2, 1),
    (3, 5),
    (31, 31),
    (32, 32),
    (33, 64),
    (1, 5000),
    (5000, 1),
    (50, 20000),
    (800, 600),
]


def blob(height, width):
    """A smooth bump off the middle, uint8."""
    y, x = np.mgrid[:height, :width]
    distance = ((y - 0.4 * height) / (0.2 * height)) ** 2 + ((x - 0.55 * width) / (0.2 * width)) ** 2
    return np.rint(255 * np.exp(-distance)).astype(np.uint8)


def grey(plane):
    return np.repeat(plane[..., None], 3, axis=2)


@pytest.mark.parametrize("size", SIZES)
def test_sizes_go_there_and_back(size):
    geometry = plan(size, 512, 32)
    tensor = preprocess(np.zeros((*size, 3), np.uint8), geometry)
    height, width = tensor.shape[2:]
    assert tensor.shape[:2] == (1, 3) and tensor.dtype == np.float32 and tensor.flags.c_contiguous
    assert height % 32 == 0 and width % 32 == 0 and max(height, width) <= 512
    assert postprocess(tensor[0, 0], geometry).shape == size
    assert postprocess(tensor[0, 0, ::4, ::4], geometry).shape == size


def test_a_small_image_is_enlarged_four_times_at_most():
    geometry = plan((160, 120), 512, 32)
    assert geometry.resized == (512, 384) == geometry.padded
    geometry = plan((40, 30), 512, 32)
    assert geometry.resized == (160, 120) and geometry.padded == (160, 128)


@pytest.mark.parametrize("size", [(160, 120), (33, 131), (300, 200), (511, 512)])
def test_a_small_image_comes_back_from_its_enlargement(size):
    plane = blob(*size)
    geometry = plan(size, 512, 32)
    assert max(geometry.resized) == 512 >= max(size)
    back = postprocess(preprocess(grey(plane), geometry)[0, 0], geometry)
    assert np.abs(back - plane / 255).max() < 0.03
    assert np.abs(np.subtract(centroid(back), centroid(plane))).max() < 0.05  # pixels


def test_what_a_trimap_knows_of_a_small_image_it_knows_of_the_enlarged_one():
    trimap = np.full((12, 16), 128, np.uint8)
    trimap[:, :5], trimap[:, 10:] = 0, 255
    geometry = plan(trimap.shape, 128, 32)
    planes = preprocess_trimap(trimap, geometry)
    np.testing.assert_allclose(planes.sum(axis=1), 1, atol=1e-6)
    back = np.stack([postprocess(plane, geometry) for plane in planes[0]])
    assert (back.argmax(axis=0) == np.digitize(trimap, [1, 200])).all()


def test_long_side_is_bounded_and_proportions_are_kept():
    geometry = plan((3000, 4000), 512, 32)
    assert geometry.resized == (384, 512) == geometry.padded


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_constant_survives_exactly(value):
    geometry = plan((70, 90), 64, 32)
    tensor = preprocess(np.full((70, 90, 3), value, np.uint8), geometry)
    np.testing.assert_allclose(postprocess(tensor[0, 1], geometry), value / 255, atol=1e-6)


@pytest.mark.parametrize("size", [(300, 200), (799, 601), (500, 500)])
def test_a_smooth_plane_comes_back_in_place(size):
    plane = blob(*size)
    geometry = plan(size, 256, 32)
    back = postprocess(preprocess(grey(plane), geometry)[0, 0], geometry)
    assert np.abs(back - plane / 255).max() < 0.02
    assert np.abs(np.subtract(centroid(back), centroid(plane))).max() < 0.1  # pixels


def centroid(plane):
    y, x = np.mgrid[: plane.shape[0], : plane.shape[1]]
    total = plane.sum(dtype=float)
    return (y * plane).sum(dtype=float) / total, (x * plane).sum(dtype=float) / total


def test_padding_does_not_leak_into_the_result():
    geometry = plan((40, 50), 500, 32)
    plane = np.zeros(geometry.padded, np.float32)
    height, width = geometry.resized
    assert geometry.padded != geometry.resized
    plane[height:], plane[:, width:] = 1, 1
    assert not postprocess(plane, geometry).any()


def test_what_is_outside_repeats_the_border():
    image = np.zeros((40, 50, 3), np.uint8)
    image[-1] = 200
    geometry = plan((40, 50), 500, 32)
    tensor = preprocess(image, geometry)
    np.testing.assert_allclose(tensor[..., geometry.resized[0] :, :], 200 / 255, atol=1e-6)


def test_result_stays_in_range():
    geometry = plan((64, 64), 512, 32)
    assert postprocess(np.array([[-0.2, 1.3]] * 2, np.float32).repeat(32, 0).repeat(32, 1), geometry).max() == 1


def test_the_image_is_not_changed():
    image = np.arange(40 * 50 * 3, dtype=np.uint8).reshape(40, 50, 3)
    before = image.copy()
    preprocess(image, plan((40, 50), 32, 32))
    np.testing.assert_array_equal(image, before)


def test_trimap_planes_sum_to_one_and_mix_where_pixels_merge():
    trimap = np.zeros((64, 64), np.uint8)
    trimap[:, 20:40], trimap[:, 40:] = 128, 255
    planes = preprocess_trimap(trimap, plan((64, 64), 32, 32))
    assert planes.shape == (1, 3, 32, 32)
    np.testing.assert_allclose(planes.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(planes[0, :, 5, 5], [1, 0, 0])
    np.testing.assert_array_equal(planes[0, :, 5, 15], [0, 1, 0])
    np.testing.assert_array_equal(planes[0, :, 5, 25], [0, 0, 1])
