"""Guided contextual attention against the published steps, one patch at a time."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from jointmat.models.attention import GuidedContextualAttention, _attend

GUIDANCE, ALPHA, KEY = 6, 5, 4
SIZES = [(4, 6), (8, 12), (10, 16)]


# --- The published layer, literally


def mirrored(index, length):
    """Reflection without repeating the edge: −1 is 1, length is length − 2."""
    return -index if index < 0 else 2 * (length - 1) - index if index >= length else index


def patch(x, top, left, size):
    """(C, H, W) → (C, size, size), reflected at the border."""
    height, width = x.shape[1:]
    rows = [mirrored(top + i, height) for i in range(size)]
    columns = [mirrored(left + i, width) for i in range(size)]
    return x[:, rows][:, :, columns]


def softmax(scores):
    powers = np.exp(np.array(scores) - max(scores))
    return powers / powers.sum()


def scale(share, other):
    return 10.0 if other == 0 else min(max(np.sqrt(share / other), 0.1), 10.0)


def everyone(unknownness):
    return range(len(unknownness))


def the_unknown(unknownness):
    return [i for i, value in enumerate(unknownness) if value > 0]


def the_most_unknown(count):
    return lambda unknownness: sorted(the_unknown(unknownness), key=lambda i: -unknownness[i])[:count]


def published_image(layer, guidance, alpha, unknown, asking):
    """Steps (1) to (11) for one image, arrays (C, H, W) of float64; `asking` picks the queries."""
    weight = {name: value.detach().double().numpy() for name, value in layer.state_dict().items()}
    height, width = alpha.shape[1:]
    rows, columns = height // 2, width // 2
    places = [(i, j) for i in range(rows) for j in range(columns)]

    projected = np.einsum("kc,chw->khw", weight["guidance_conv.weight"][:, :, 0, 0], guidance)
    projected += weight["guidance_conv.bias"][:, None, None]  # (1)
    alpha_patches = [patch(alpha, 2 * i - 1, 2 * j - 1, 4) for i, j in places]  # (2)
    patches = [patch(projected[:, ::2, ::2], i - 1, j - 1, 3).ravel() for i, j in places]  # (3)
    small = unknown[:, ::2, ::2]
    u = small.mean()
    unknown_scale, known_scale = scale(u, 1 - u), scale(1 - u, u)  # (4)
    unknownness = [patch(small, i - 1, j - 1, 3).mean() for i, j in places]  # (5)

    pasted = np.zeros_like(alpha)
    for query in asking(unknownness):
        scores = []
        for key in range(len(places)):
            unit = patches[key] / max(np.linalg.norm(patches[key]), 1e-4)
            score = unit @ patches[query]  # (6)
            score *= unknown_scale if unknownness[key] > 0 else known_scale  # (7)
            if key == query and unknownness[key] > 0:
                score -= 1e4  # (8)
            scores.append(score)
        share = softmax(scores)  # (9)
        answer = sum(share[key] * alpha_patches[key] for key in range(len(places)))
        for y in range(4):
            for x in range(4):
                row, column = 2 * places[query][0] - 1 + y, 2 * places[query][1] - 1 + x
                if 0 <= row < height and 0 <= column < width:
                    pasted[:, row, column] += answer[:, y, x] / 4  # (10)

    mixed = np.einsum("oc,chw->ohw", weight["W.0.weight"][:, :, 0, 0], pasted)
    mean, variance = weight["W.1.running_mean"], weight["W.1.running_var"]
    gain = weight["W.1.weight"] / np.sqrt(variance + 1e-5)
    normalised = (mixed - mean[:, None, None]) * gain[:, None, None] + weight["W.1.bias"][:, None, None]
    return alpha + normalised  # (11)


def published(layer, guidance, alpha, unknown, asking=everyone):
    images = zip(guidance.double().numpy(), alpha.double().numpy(), unknown.double().numpy(), strict=True)
    return torch.from_numpy(np.stack([published_image(layer, *image, asking) for image in images])).float()


# --- Inputs


def layer(max_queries=None, threshold=0.0):
    """With weights that make every step count: a new layer is the identity."""
    torch.manual_seed(0)
    made = GuidedContextualAttention(GUIDANCE, ALPHA, KEY, max_queries, threshold).eval()
    with torch.no_grad():
        made.W[1].weight.uniform_(0.5, 2.0)
        made.W[1].bias.normal_()
        made.W[1].running_mean.normal_(std=0.3)
        made.W[1].running_var.uniform_(0.5, 2.0)
    return made


def features(size, batch=2):
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(batch, channels, *size, generator=generator) for channels in (GUIDANCE, ALPHA))


def unknown_maps(size, batch=2):
    """Hard maps by name; within a batch they differ."""
    generator = torch.Generator().manual_seed(2)
    corner, scattered = torch.zeros(2, batch, 1, *size).unbind()
    corner[0, :, : size[0] // 2, : size[1] // 2] = 1
    corner[1, :, -2:, -2:] = 1
    scattered[torch.rand(batch, 1, *size, generator=generator) < 0.15] = 1
    known = torch.zeros(batch, 1, *size)
    mixed = known.clone()
    mixed[0] = 1
    return {
        "corner": corner,
        "scattered": scattered,
        "all known": known,
        "all unknown": torch.ones_like(known),
        "one image of each": mixed,
    }


def soft_map(size, batch=2):
    return torch.rand(batch, 1, *size, generator=torch.Generator().manual_seed(3))


def mirror(x):
    return torch.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")


MAPS = list(unknown_maps((4, 6)))


# --- Equality


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MAPS)
@torch.no_grad()
def test_equals_the_published_layer(size, name):
    guidance, alpha = features(size)
    unknown = unknown_maps(size)[name]
    expected = published(layer(), guidance, alpha, unknown)
    assert (expected - alpha).abs().max() > 0.1
    torch.testing.assert_close(layer()(guidance, alpha, unknown), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_equals_the_published_layer_for_a_soft_map():
    guidance, alpha = features((8, 12))
    unknown = soft_map((8, 12))
    expected = published(layer(), guidance, alpha, unknown)
    torch.testing.assert_close(layer()(guidance, alpha, unknown), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_constant_guidance_attends_to_all_patches_alike():
    _, alpha = features((8, 12))
    guidance = torch.zeros(2, GUIDANCE, 8, 12)
    made = layer()
    made.guidance_conv.bias.zero_()  # patches of norm 0, which the smallest norm divides
    expected = published(made, guidance, alpha, torch.zeros(2, 1, 8, 12))
    torch.testing.assert_close(made(guidance, alpha, torch.zeros(2, 1, 8, 12)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MAPS)
@torch.no_grad()
def test_enough_queries_ask_for_the_unknown_patches_only(size, name):
    guidance, alpha = features(size)
    unknown = unknown_maps(size)[name]
    expected = published(layer(), guidance, alpha, unknown, the_unknown)
    count = (size[0] // 2) * (size[1] // 2)
    for max_queries in (count, count + 100):
        found = layer(max_queries)(guidance, alpha, unknown)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_too_few_queries_ask_for_the_most_unknown_patches():
    guidance, alpha = features((10, 16))
    unknown = soft_map((10, 16))
    unknownness = torch.nn.functional.avg_pool2d(mirror(unknown[..., ::2, ::2]), 3, stride=1).flatten(1)
    ranked = unknownness.sort(dim=1, descending=True).values
    apart = (ranked[:, :-1] > 1.01 * ranked[:, 1:]).all(dim=0)  # not where a hair decides who comes next
    bounds = 1 + apart.nonzero().flatten()
    assert len(bounds) > 3
    for max_queries in bounds.tolist():
        expected = published(layer(), guidance, alpha, unknown, the_most_unknown(max_queries))
        found = layer(max_queries)(guidance, alpha, unknown)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MAPS)
@torch.no_grad()
def test_bounded_and_unbounded_agree_where_only_unknown_patches_answer(name):
    size = (10, 16)
    guidance, alpha = features(size)
    unknown = unknown_maps(size)[name]
    reached = torch.nn.functional.max_pool2d(unknown[..., ::2, ::2], 3, stride=1, padding=1)  # patches
    enough = max(1, int(reached.sum(dim=(1, 2, 3)).max()))
    bounded, unbounded = (layer(bound)(guidance, alpha, unknown) for bound in (enough, None))
    # a pixel lies in the patches that begin at most 3 pixels before it: known ones within 2 of it spoil it
    known = torch.nn.functional.interpolate(1 - reached, scale_factor=2.0)
    pure = torch.nn.functional.max_pool2d(known, 5, stride=1, padding=2) == 0
    torch.testing.assert_close(bounded * pure, unbounded * pure, atol=1e-5, rtol=1e-5)
    if name not in ("all known", "scattered"):
        assert pure.any()


@pytest.mark.parametrize("max_queries", [None, 5, 1000])
@torch.no_grad()
def test_images_of_a_batch_do_not_mix(max_queries):
    guidance, alpha = features((8, 12))
    unknown = soft_map((8, 12))
    together = layer(max_queries)(guidance, alpha, unknown)
    for i in (0, 1):
        alone = layer(max_queries)(guidance[i : i + 1], alpha[i : i + 1], unknown[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_what_is_below_the_threshold_is_known():
    guidance, alpha = features((8, 12))
    nothing_asked = alpha + layer().W(torch.zeros_like(alpha))
    faint = torch.full((2, 1, 8, 12), 0.04)
    assert torch.equal(layer(100, threshold=0.05)(guidance, alpha, faint), nothing_asked)
    assert not torch.equal(layer(100, threshold=0.03)(guidance, alpha, faint), nothing_asked)


def test_no_weight_is_subnormal_however_far_apart_the_scores_are():
    scores = torch.linspace(0.0, 200.0, 401)
    keys, queries, values = scores.view(1, 1, -1), torch.ones(1, 1, 1), torch.eye(401)[None]
    weights = _attend(keys, queries, values, torch.zeros(1, 401), torch.zeros(1, 1, dtype=torch.long)).flatten()
    assert (weights > torch.finfo(torch.float32).tiny).all()
    torch.testing.assert_close(weights, scores.softmax(dim=0), atol=1e-20, rtol=1e-5)


# --- Gradients


@pytest.mark.parametrize("max_queries", [None, 5])
@pytest.mark.parametrize("name", [*MAPS, "soft"])
def test_gradients_are_finite(name, max_queries):
    size = (8, 12)
    guidance, alpha = (x.requires_grad_() for x in features(size))
    unknown = (soft_map(size) if name == "soft" else unknown_maps(size)[name]).requires_grad_()
    made = layer(max_queries)
    made(guidance, alpha, unknown).square().sum().backward()
    for tensor in (guidance, alpha, *made.parameters()):
        assert tensor.grad.isfinite().all()
    assert unknown.grad is None  # the trimap steers the attention and learns from the fusion
    silent = max_queries is not None and name == "all known"
    assert (guidance.grad.abs().sum() == 0) == silent
    assert alpha.grad.abs().sum() > 0


# --- Memory


class Largest(TorchDispatchMode):
    """Bytes of the largest tensor that is computed meanwhile."""

    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        self.bytes = max(self.bytes, *(x.numel() * x.element_size() for x in tensors), 0)
        return result


@pytest.mark.parametrize(("max_queries", "queries"), [(None, 576), (64, 64), (1000, 576)])
@torch.no_grad()
def test_the_similarity_matrix_is_the_largest_tensor(max_queries, queries):
    height, width = 48, 48  # N = 24 · 24 = 576 patches
    small = GuidedContextualAttention(2, 1, 1, max_queries).eval()
    with Largest() as largest:
        small(torch.rand(1, 2, height, width), torch.rand(1, 1, height, width), torch.ones(1, 1, height, width))
    assert largest.bytes == 576 * queries * 4
