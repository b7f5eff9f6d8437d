"""Morphology: the classic recipe to the last pixel, and the soft form that a network learns through."""

import cv2
import numpy as np
import pytest

from jointmat.errors import InputError, InputTypeError
from jointmat.ops.morphology import disk, hard_trimap

torch = pytest.importorskip("torch")

import torch.nn.functional as F

from jointmat.ops.morphology import dilate, dilations, erode, fuse, soft_trimap

RADII = (1, 2, 3, 5)
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-12}


# --- Masks


def ellipses(height=61, width=83):
    """Subjects with a soft edge of grey levels; one of them is cut by the border."""
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (19, 11), 30, 0, 360, 255, -1)
    cv2.ellipse(mask, (0, height - 4), (14, 22), 0, 0, 360, 255, -1)
    return cv2.GaussianBlur(mask, (0, 0), 1.5)


def strands(height=61, width=83):
    mask = np.zeros((height, width), np.uint8)
    for x in range(3, width, 9):
        cv2.line(mask, (x, 0), (width - x, height), 255, 1, cv2.LINE_AA)
    return mask


def masks():
    rng = np.random.default_rng(0)
    size = (61, 83)
    dots = np.zeros(size, np.uint8)
    dots[[0, 30, 60], [0, 41, 82]] = [255, 1, 254]
    return {
        "ellipses": ellipses(),
        "strands": strands(),
        "noise": rng.integers(0, 256, size, np.uint8),
        "binary noise": np.uint8(255) * (rng.random(size) < 0.02),
        "holes": np.uint8(255) * (rng.random(size) < 0.999),
        "dots": dots,
        "empty": np.zeros(size, np.uint8),
        "full": np.full(size, 255, np.uint8),
        "a row": ellipses()[30:31],
    }


def soft_mask(dtype, size=12):
    """Values strictly between 0 and 1, all different, so that no maximum has a tie."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randperm(size * size, generator=generator).to(dtype) + 1
    return (values / (size * size + 1)).view(1, 1, size, size)


def portrait(size=64):
    """A subject as a network sees it: around 0.98 inside, around 0.02 outside, no two pixels the same."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    noise = torch.randn(size, size, generator=torch.Generator().manual_seed(0))
    logits = 12 * (0.6 - (x**2 + y**2).sqrt())
    return (logits.clamp(-4, 4) + noise).sigmoid()[None, None]


# --- The classic recipe


def opencv_recipe(mask, kernel, iterations):
    ellipse = cv2.getStructuringElement(shape=cv2.MORPH_ELLIPSE, ksize=(kernel, kernel))
    dilated = cv2.dilate(src=mask, kernel=ellipse, iterations=iterations)
    eroded = cv2.erode(src=mask, kernel=ellipse, iterations=iterations)
    return np.where(eroded >= 255, 255, np.where(dilated <= 0, 0, 128))


def by_definition(mask, kernel, iterations):
    """The same without OpenCV: repeated extrema over the ellipse, pixels outside of the image left out."""
    reach = kernel // 2
    offsets = []
    for dy in range(-reach, reach + 1):
        half = round(np.sqrt(reach**2 - dy**2))
        offsets += [(dy, dx) for dx in range(-half, half + 1)]
    height, width = mask.shape
    largest = smallest = mask
    for _ in range(iterations):
        up = np.pad(largest, reach, constant_values=0)
        down = np.pad(smallest, reach, constant_values=255)
        places = [
            (slice(reach + dy, reach + dy + height), slice(reach + dx, reach + dx + width)) for dy, dx in offsets
        ]
        largest = np.max([up[place] for place in places], axis=0)
        smallest = np.min([down[place] for place in places], axis=0)
    return np.where(smallest >= 255, 255, np.where(largest <= 0, 0, 128))


@pytest.mark.parametrize(
    ("name", "kernel", "iterations"), [*((name, 7, 6) for name in masks()), ("noise", 1, 1), ("noise", 25, 1)]
)
def test_hard_trimap_is_the_opencv_recipe(name, kernel, iterations):
    mask = masks()[name]
    before = mask.copy()
    trimap = hard_trimap(mask, kernel, iterations)
    assert trimap.dtype == np.uint8
    np.testing.assert_array_equal(trimap, opencv_recipe(mask, kernel, iterations))
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize(("kernel", "iterations"), [(3, 5), (5, 2), (7, 6)])
@pytest.mark.parametrize("name", masks())
def test_hard_trimap_by_definition(name, kernel, iterations):
    mask = masks()[name]
    np.testing.assert_array_equal(hard_trimap(mask, kernel, iterations), by_definition(mask, kernel, iterations))


def test_hard_trimap_takes_kernel_7_and_6_iterations_by_default():
    mask = cv2.resize(ellipses(), None, fx=4, fy=4)
    trimap = hard_trimap(mask)
    np.testing.assert_array_equal(trimap, opencv_recipe(mask, 7, 6))
    assert set(np.unique(trimap)) == {0, 128, 255}


def test_hard_trimap_of_a_view():
    mask = np.repeat(ellipses(), 2, axis=1)[::-1, ::2]
    np.testing.assert_array_equal(hard_trimap(mask), opencv_recipe(np.ascontiguousarray(mask), 7, 6))


@pytest.mark.parametrize(("kernel", "neighbours"), [(2, "use 1 or 3"), (12, "use 11 or 13"), (0, "use 1 or 1")])
def test_an_even_kernel_is_refused_with_the_reason(kernel, neighbours):
    with pytest.raises(InputError, match="no centre pixel and shifts the trimap") as error:
        hard_trimap(ellipses(), kernel=kernel)
    assert isinstance(error.value, ValueError)
    assert str(error.value).startswith(f"kernel={kernel}: expected an odd number")
    assert str(error.value).endswith(neighbours)


@pytest.mark.parametrize("iterations", [0, -1])
def test_no_iterations_are_refused(iterations):
    with pytest.raises(InputError, match=f"iterations={iterations}: expected at least 1"):
        hard_trimap(ellipses(), iterations=iterations)


@pytest.mark.parametrize(
    ("mask", "got"),
    [
        (np.zeros((4, 5), np.float32), "4x5 float32"),
        (np.zeros((4, 5), bool), "4x5 bool"),
        (np.zeros((4, 5, 1), np.uint8), "4x5x1 uint8"),
    ],
)
def test_other_masks_are_refused(mask, got):
    with pytest.raises(InputTypeError, match=f"mask: expected HxW uint8, got {got}"):
        hard_trimap(mask)


# --- Dilation and erosion


@pytest.mark.parametrize("radius", [1, 2, 5, 9])
def test_hard_dilation_and_erosion_are_those_of_opencv(radius):
    for mask in (ellipses(), masks()["noise"], strands()):
        p = mask.astype(np.float32) / 255
        kernel = disk(radius).astype(np.uint8)
        tensor = torch.from_numpy(p)[None, None]
        np.testing.assert_array_equal(dilate(tensor, radius)[0, 0].numpy(), cv2.dilate(p, kernel))
        # 1 − (1 − p) is p but for a rounding
        np.testing.assert_allclose(erode(tensor, radius)[0, 0].numpy(), cv2.erode(p, kernel), atol=1e-7)


def test_disks_are_round():
    assert [int(disk(radius).sum()) for radius in (0, 1, 2, 3)] == [1, 5, 21, 37]


def test_disks_are_symmetric_and_grow():
    for radius in range(1, 19):
        flat = disk(radius)
        assert flat.shape == (2 * radius + 1, 2 * radius + 1)
        assert flat[radius].all()
        for same in (flat.T, flat[::-1], flat[:, ::-1]):
            np.testing.assert_array_equal(flat, same)
        assert (np.pad(disk(radius - 1), 1) <= flat).all()


@pytest.mark.parametrize("temperature", [5.0, 20.0, 80.0, 320.0, 640.0])
def test_soft_dilation_approaches_the_hard_one(temperature):
    """|soft − hard| ≤ log(n)/τ with n pixels in the disk, so that τ → ∞ gives the hard form."""
    p = soft_mask(torch.float64, 20)
    for radius in (1, 3, 5):
        bound = np.log(disk(radius).sum()) / temperature
        assert (dilate(p, radius, temperature) - dilate(p, radius)).abs().max() <= bound
        assert (erode(p, radius, temperature) - erode(p, radius)).abs().max() <= bound


@pytest.mark.parametrize("temperature", [12.0, 20.0, None])
def test_constants_stay(temperature):
    empty, full = torch.zeros(1, 1, 21, 17), torch.ones(1, 1, 21, 17)
    inside = (..., slice(5, -5), slice(5, -5))  # the soft form sees nothing outside of the image
    assert dilate(empty, 5, temperature).abs().max() == 0
    assert (erode(full, 5, temperature) - 1).abs().max() == 0
    torch.testing.assert_close(dilate(full, 5, temperature)[inside], full[inside])
    torch.testing.assert_close(erode(empty, 5, temperature)[inside], empty[inside])


def test_several_dilations_are_those_one_by_one():
    p = soft_mask(torch.float32)
    for temperature in (20.0, None):
        bank = dilations(p, RADII, temperature)
        single = torch.cat([dilate(p, radius, temperature) for radius in RADII], dim=1)
        torch.testing.assert_close(bank, single)


def test_dilation_does_not_leak_beyond_its_disk():
    p = torch.zeros(1, 1, 31, 31)
    p[..., 15, 15] = 1
    for temperature in (20.0, None):
        assert torch.equal(dilate(p, 6, temperature)[0, 0, 9:22, 9:22] > 0, torch.from_numpy(disk(6)) > 0)
        assert dilate(p, 6, temperature)[0, 0].count_nonzero() == disk(6).sum()


@pytest.mark.parametrize("operator", [dilate, erode])
@pytest.mark.parametrize("temperature", [12.0, None])
def test_gradient_of_dilation_and_erosion(operator, temperature):
    p = soft_mask(torch.float64, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: operator(x, 2, temperature), p)


# --- The soft trimap


@pytest.mark.parametrize("temperature", [12.0, None])
def test_gradient_of_the_soft_trimap_in_mask_and_band(temperature):
    mask = soft_mask(torch.float64, 6).requires_grad_()
    # between the radii, where the width is differentiable
    band = torch.linspace(0.2, 2.9, 36, dtype=torch.float64).view(1, 1, 6, 6).requires_grad_()
    assert (band.detach() - band.detach().round()).abs().min() > 1e-3
    assert torch.autograd.gradcheck(lambda m, b: soft_trimap(m, b, (1, 2, 3), temperature), (mask, band))


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("temperature", [12.0, 20.0, None])
def test_planes_are_probabilities(dtype, temperature):
    band = 6 * torch.rand(1, 1, 64, 64, dtype=dtype)
    for mask in (portrait().to(dtype), (portrait() > 0.5).to(dtype), torch.rand(1, 1, 64, 64, dtype=dtype)):
        planes = soft_trimap(mask, band, RADII, temperature)
        assert planes.shape == (1, 3, 64, 64)
        assert planes.min() >= -ROUNDING[dtype]
        assert planes.max() <= 1 + ROUNDING[dtype]
        assert (planes.sum(dim=1) - 1).abs().max() <= ROUNDING[dtype]


@pytest.mark.parametrize("temperature", [12.0, None])
def test_unknown_grows_with_the_width(temperature):
    mask = soft_mask(torch.float64, 20)
    widths = torch.linspace(0, RADII[-1], 41, dtype=torch.float64)
    unknown = torch.cat([soft_trimap(mask, w.view(1, 1, 1, 1), RADII, temperature)[:, 1] for w in widths])
    steps = unknown.diff(dim=0)
    assert unknown[0].abs().max() <= 1e-12
    assert steps.min() >= -1e-12
    assert (steps.sum(dim=(1, 2)) > 0).all()


def test_widths_beyond_the_bank_have_no_effect():
    mask = portrait()
    widest = soft_trimap(mask, torch.full_like(mask, RADII[-1]), RADII)
    assert torch.equal(soft_trimap(mask, torch.full_like(mask, 99.0), RADII), widest)
    narrowest = soft_trimap(mask, torch.zeros_like(mask), RADII)
    assert torch.equal(soft_trimap(mask, torch.full_like(mask, -3.0), RADII), narrowest)


def test_each_pixel_has_its_own_width():
    mask = (portrait() > 0.5).float()
    band = torch.cat([torch.full((1, 1, 64, 32), 1.0), torch.full((1, 1, 64, 32), 5.0)], dim=3)
    planes = soft_trimap(mask, band, RADII, None)
    for columns, width in ((slice(0, 32), 1), (slice(32, 64), 5)):
        uniform = soft_trimap(mask, torch.full_like(mask, width), RADII, None)
        assert torch.equal(planes[..., columns], uniform[..., columns])


def test_the_hard_form_at_a_radius_is_dilation_and_erosion():
    mask = torch.from_numpy(ellipses().astype(np.float64) / 255)[None, None]
    for radius in RADII:
        planes = soft_trimap(mask, torch.full_like(mask, radius), RADII, None)
        torch.testing.assert_close(planes[:, :1], 1 - dilate(mask, radius))
        torch.testing.assert_close(planes[:, 2:], erode(mask, radius))


@pytest.mark.parametrize("temperature", [20.0, None])
def test_the_complement_swaps_background_and_foreground(temperature):
    mask, band = soft_mask(torch.float64), torch.tensor([[[[2.5]]]], dtype=torch.float64)
    planes = soft_trimap(mask, band, RADII, temperature)
    torch.testing.assert_close(soft_trimap(1 - mask, band, RADII, temperature), planes.flip(1))


@pytest.mark.parametrize("temperature", [12.0, 20.0, None])
@pytest.mark.parametrize(("value", "plane"), [(0.0, 0), (1.0, 2)])
def test_an_empty_and_a_full_mask_have_no_unknown(value, plane, temperature):
    mask = torch.full((1, 1, 20, 24), value)
    expected = torch.zeros(1, 3, 20, 24)
    expected[:, plane] = 1
    for width in (0.0, 1.7, 5.0):
        planes = soft_trimap(mask, torch.full_like(mask, width), RADII, temperature)
        torch.testing.assert_close(planes, expected, atol=1e-6, rtol=0)


# --- What the gradient of an alpha loss reaches


def share_with_gradient(make_trimap):
    """Share of the mask's pixels that an alpha loss moves through a trimap and the fusion."""
    mask = portrait().requires_grad_()
    trimap = make_trimap(mask)
    loss = (fuse(trimap, torch.full_like(mask, 0.5)) - (portrait() > 0.3).float()).abs().mean()
    if not loss.requires_grad:
        return 0.0
    loss.backward()
    return (mask.grad != 0).float().mean().item()


def test_an_alpha_loss_reaches_every_pixel_of_the_mask():
    """With the classic band of 18 pixels, a window of 37, at which max-pooling starves the segmentation."""

    def log_sum_exp(mask):
        return soft_trimap(mask, torch.full_like(mask, 18.0), (18,), 20.0)

    def max_pool(mask):
        outer, inner = (F.max_pool2d(p, 37, stride=1, padding=18) for p in (mask, 1 - mask))
        return torch.cat([1 - outer, outer + inner - 1, 1 - inner], dim=1)

    def argmax(mask):
        winner = max_pool(mask).argmax(dim=1)
        return F.one_hot(winner, 3).movedim(-1, 1).float()

    shares = {maker.__name__: share_with_gradient(maker) for maker in (log_sum_exp, max_pool, argmax)}
    print("  ".join(f"{name} {share:.2%}" for name, share in shares.items()))
    assert shares["log_sum_exp"] > 0.999
    assert 0 < shares["max_pool"] < 0.1
    assert shares["argmax"] == 0
