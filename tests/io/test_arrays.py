"""Arrays and tensors as images."""

import warnings

import numpy as np
import pytest
from PIL import Image

from jointmat.errors import InputError, InputTypeError
from jointmat.io.image import load_image
from tests.io.images import assert_one_form, message, noise

# Arrays


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((1, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((1, 1, 1), 7, np.uint8), (7, 7, 7)),
        (np.array([[(1, 2, 3)]], np.uint8), (1, 2, 3)),
        (np.array([[(1, 2, 3, 255)]], np.uint8), (1, 2, 3)),
        (np.array([[(1, 2, 3, 0)]], np.uint8), (255, 255, 255)),
        (np.array([[True]]), (255, 255, 255)),
        (np.array([[False]]), (0, 0, 0)),
        (np.array([[(0, 32896, 65535)]], np.uint16), (0, 128, 255)),
        (np.array([[(0, 32896, 65535)]], ">u2"), (0, 128, 255)),
        (np.array([[(0, 0.4, 1)]], np.float16), (0, 102, 255)),
        (np.array([[(-0.0005, 0.4, 1.0005)]], np.float32), (0, 102, 255)),
        (np.array([[(0, 0.4, 1, 0.5)]], np.float64), (127, 178, 255)),
    ],
)
def test_arrays(array, expected):
    result = load_image(array)
    assert_one_form(result, 1, 1)
    assert tuple(result[0, 0]) == expected


def test_every_uint16_is_rounded():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(load_image(values)[..., 0], np.rint(values / 257))


def test_bgr():
    assert tuple(load_image(np.array([[(1, 2, 3)]], np.uint8), color="BGR")[0, 0]) == (3, 2, 1)
    assert tuple(load_image(np.array([[(1, 2, 3, 255)]], np.uint8), color="BGR")[0, 0]) == (3, 2, 1)
    assert tuple(load_image(np.array([[7]], np.uint8), color="BGR")[0, 0]) == (7, 7, 7)


@pytest.mark.parametrize("view", [np.s_[:, ::2], np.s_[::-1], np.s_[:, ::-1, ::-1], np.s_[5:9, 5:9]])
def test_strided_views(view):
    array = noise()
    result = load_image(array[view])
    np.testing.assert_array_equal(result, array[view])
    assert_one_form(result, *array[view].shape[:2])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool, np.float32])
def test_the_result_is_a_copy_and_the_input_unchanged(channels, dtype):
    array = (noise(channels=channels) > 127).astype(dtype)
    before = array.copy()
    array.flags.writeable = False
    result = load_image(array)
    assert not np.shares_memory(result, array)
    result[:] = 99
    np.testing.assert_array_equal(array, before)


def test_a_pillow_image_is_unchanged():
    image = Image.fromarray(noise())
    load_image(image)[:] = 99
    np.testing.assert_array_equal(np.asarray(image), noise())


@pytest.mark.parametrize(
    "dtype", ["int8", "int32", "int64", "uint32", "uint64", "object", "complex64", "datetime64[s]"]
)
def test_dtypes_that_are_refused(dtype):
    text = message(lambda: load_image(np.zeros((2, 2, 3), dtype)), InputTypeError)
    assert text == f"array: got dtype {dtype}, expected one of uint8, uint16, bool, float16, float32, float64"


def test_channels_first():
    assert message(lambda: load_image(np.zeros((3, 48, 64))), InputError) == (
        "array: expected HxWx3, got 3xHxW (3, 48, 64): pass array.transpose(1, 2, 0)"
    )


@pytest.mark.parametrize("shape", [(), (5,), (5, 6, 2), (5, 6, 5)])
def test_other_shapes(shape):
    assert message(lambda: load_image(np.zeros(shape, np.uint8)), InputError) == (
        f"array: expected HxW, HxWx1, HxWx3 or HxWx4, got shape {shape}"
    )


def test_a_batch():
    text = message(lambda: load_image(np.zeros((2, 5, 6, 3))), InputError)
    assert text == "array: expected HxWx3, got a batch (2, 5, 6, 3): pass a list of images"


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (0, 0)])
def test_zero_size(shape):
    text = message(lambda: load_image(np.zeros(shape)), InputError)
    assert text == f"array: zero width or height: {shape[1]}x{shape[0]}"


def test_values_that_are_not_finite_are_counted():
    array = np.zeros((4, 4, 3), np.float32)
    array[0, 0] = np.nan
    array[1, 1, 0], array[2, 2, 0] = np.inf, -np.inf
    assert message(lambda: load_image(array), InputError) == (
        "array: got 5 NaN or infinite values, expected finite ones in [0, 1]"
    )


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-1, 1), (0, 1.01)])
def test_floats_out_of_range(low, high):
    assert message(lambda: load_image(np.array([[low, high]], np.float64)), InputError) == (
        f"array: got values from {low} to {high}, expected floats in [0, 1]: "
        "divide by the full scale, or pass uint8"
    )


# Tensors


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_float_tensors(dtype):
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([0, 0.5, 1]).reshape(3, 1, 1).to(getattr(torch, dtype)).requires_grad_()
    result = load_image(tensor)
    assert_one_form(result, 1, 1)
    assert tuple(result[0, 0]) == (0, 128, 255)
    assert tensor.requires_grad


@pytest.mark.parametrize("shape", [(2, 5), (1, 2, 5), (3, 2, 5), (4, 2, 5), (1, 3, 2, 5)])
def test_tensor_shapes(shape):
    torch = pytest.importorskip("torch")
    assert_one_form(load_image(torch.zeros(shape, dtype=torch.uint8)), 2, 5)


def test_a_tensor_is_copied():
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(3, 4, 5, dtype=torch.uint8)
    load_image(tensor)[:] = 99
    assert tensor.sum() == 0


def test_a_matrix_is_an_array():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of its own class
        levels = np.matrix([[0, 9], [8, 255]], np.uint8)
    np.testing.assert_array_equal(load_image(levels)[..., 0], [[0, 9], [8, 255]])


def test_a_tensor_that_is_negated_when_read():
    torch = pytest.importorskip("torch")
    tensor = torch.full((3, 1, 1), -0.4)._neg_view()
    assert tuple(load_image(tensor)[0, 0]) == (102, 102, 102)


def test_tensors_without_values_in_rows_are_refused():
    torch = pytest.importorskip("torch")
    zeros = torch.zeros(3, 2, 2)
    assert message(lambda: load_image(zeros.to_sparse()), InputTypeError) == (
        "tensor: got layout sparse_coo, expected strided: pass tensor.to_dense()"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, of a prototype
        nested = torch.nested.nested_tensor([zeros[0], zeros[1]])
    assert "layout nested" in message(lambda: load_image(nested), InputTypeError)
    assert message(lambda: load_image(zeros.to("meta")), InputTypeError) == (
        "tensor: got device meta, which holds no values: pass a tensor on a real device"
    )


def test_bgr_tensor():
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([1, 2, 3], dtype=torch.uint8).reshape(3, 1, 1)
    assert tuple(load_image(tensor, color="BGR")[0, 0]) == (3, 2, 1)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((2, 3, 5, 6), "expected 3xHxW, got a batch (2, 3, 5, 6): pass a list of images"),
        ((5, 6, 3), "expected 3xHxW, got HxWx3 (5, 6, 3): pass tensor.permute(2, 0, 1)"),
        ((5, 6, 7), "expected HxW, 1xHxW, 3xHxW or 4xHxW, got shape (5, 6, 7)"),
        ((5,), "expected HxW, 1xHxW, 3xHxW or 4xHxW, got shape (5,)"),
    ],
)
def test_tensor_shapes_that_are_refused(shape, text):
    torch = pytest.importorskip("torch")
    assert message(lambda: load_image(torch.zeros(shape)), InputError) == f"tensor: {text}"


@pytest.mark.parametrize("dtype", ["int64", "int32", "complex64"])
def test_tensor_dtypes_that_are_refused(dtype):
    torch = pytest.importorskip("torch")
    text = message(lambda: load_image(torch.zeros(3, 2, 2, dtype=getattr(torch, dtype))), InputTypeError)
    assert text.startswith(f"tensor: got dtype {dtype}, expected one of uint8, bool, float16, bfloat16")
