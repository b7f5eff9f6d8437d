import dataclasses

import pytest
import torch
from torch.nn import functional

from jointmat.models.joint import JointOutput
from train.config import LossConfig
from train.data.dataset import Sample
from train.losses import _blur, joint_losses, laplacian, masked_mean, segmentation, trimap, true_unknown


def square(size=32):
    alpha = torch.zeros(1, 1, size, size)
    alpha[..., 8:24, 8:24] = 1
    return alpha


def test_masked_mean_is_taken_by_weight_sample_by_sample():
    values = torch.tensor([1.0, 3.0, 5.0, 7.0]).view(2, 1, 1, 2)
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0]).view(2, 1, 1, 2)
    assert masked_mean(values, weight) == pytest.approx((2.0 + 5.0) / 2)
    assert masked_mean(values, torch.zeros_like(values)) == 0


def test_true_unknown_is_the_soft_edge_and_its_surroundings():
    alpha = square()
    assert not true_unknown(alpha).any()
    alpha[..., 8, 8] = 0.5
    assert true_unknown(alpha, reach=2).sum() == 25


def test_segmentation_is_smallest_at_the_truth():
    alpha = square()
    right = torch.where(torch.nn.functional.avg_pool2d(alpha, 4) > 0.5, 9.0, -9.0)
    one = torch.ones(1)
    assert segmentation(right, alpha, one) < 0.01 < segmentation(-right, alpha, one)


@pytest.mark.parametrize(("hidden_cost", "planes"), [(True, (1.0, 0.0, 0.0)), (False, (0.0, 1.0, 0.0))])
def test_trimap_asks_for_a_band_that_covers_the_hair(hidden_cost, planes):
    alpha = torch.full((1, 1, 32, 32), 0.5)
    said = torch.tensor(planes).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    loss = trimap(said, alpha, true_unknown(alpha), torch.ones_like(alpha))
    assert (loss > 5) == hidden_cost


def test_trimap_ignores_what_is_not_trusted():
    alpha = square()
    said = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert trimap(said, alpha, true_unknown(alpha), 1 - alpha) < 1e-3
    assert trimap(said, alpha, true_unknown(alpha), torch.ones_like(alpha)) > 1


def test_laplacian_is_zero_for_no_error_and_sees_structure_more_than_level():
    error = torch.zeros(1, 1, 64, 64)
    one = torch.ones(1, 1, 1, 1)
    assert laplacian(error, one) == 0
    assert laplacian(error + 0.1, one) < 1e-6  # a constant has no band-pass content
    error[..., ::2] = 0.1
    assert laplacian(error, one) > 1e-3
    assert laplacian(error, 0 * one) == 0


def sample(exact):
    alpha = square().repeat(2, 1, 1, 1)
    alpha[..., 8, :] = 0.5
    return Sample(
        torch.rand(2, 3, 32, 32),
        alpha,
        torch.ones_like(alpha),
        torch.full((2,), float(exact)),
        torch.full_like(alpha, 0.5),
        torch.zeros(2, 3, 32, 32),
        torch.zeros_like(alpha),
    )


def given_to(batch, trimap):
    """The same with planes (3, H, W) for all of its images."""
    return batch._replace(trimap=trimap.expand(2, -1, -1, -1))


def output(alpha):
    planes = torch.full((2, 3, 8, 8), 1 / 3)
    quarter = torch.zeros(2, 1, 8, 8)
    return JointOutput(alpha, planes, planes, quarter, quarter, quarter, alpha)


def test_every_term_has_a_weight_of_its_name():
    terms = joint_losses(output(torch.rand(2, 1, 32, 32)), sample(True))
    assert list(terms) == [field.name for field in dataclasses.fields(LossConfig)]
    assert all(float(term) > 0 for term in terms.values())


def test_coarse_labels_do_not_teach_hair():
    wrong = torch.rand(2, 1, 32, 32)
    terms = joint_losses(output(wrong), sample(exact=False))
    assert terms["unknown"] == 0 and terms["laplacian"] == 0 and terms["alpha"] > 0


def known_but_for(rows, columns):
    planes = torch.zeros(3, 32, 32)
    planes[0] = 1
    planes[0, rows, columns], planes[1, rows, columns] = 0, 1
    return planes


def test_where_a_trimap_is_given_neither_mask_nor_trimap_is_asked_for():
    wrong, free = output(torch.rand(2, 1, 32, 32)), sample(True)
    asked, given = joint_losses(wrong, free), joint_losses(wrong, given_to(free, known_but_for(..., slice(9))))
    assert asked["segmentation"] > 0 and asked["trimap"] > 0
    assert given["segmentation"] == 0 and given["trimap"] == 0
    assert all(given[name] > 0 for name in ("alpha", "unknown", "composition", "laplacian"))


def test_only_images_without_a_trimap_teach_what_a_person_is():
    wrong, free = output(torch.rand(2, 1, 32, 32)), sample(True)
    mixed = free._replace(trimap=torch.stack([known_but_for(..., slice(9)), torch.zeros(3, 32, 32)]))
    assert mixed.is_given.tolist() == [1, 0]
    for name in ("segmentation", "trimap"):
        half, whole = (float(joint_losses(wrong, batch)[name]) for batch in (mixed, free))
        assert half == pytest.approx(whole / 2, rel=1e-5)  # both images are alike


def test_with_a_given_trimap_its_unknown_region_counts():
    batch = sample(True)
    wrong = batch.alpha.clone()
    wrong[..., :4, :4] += 0.5  # far from the edge
    assert joint_losses(output(wrong), batch)["unknown"] == 0
    given = given_to(batch, known_but_for(slice(4), slice(4)))
    assert float(joint_losses(output(wrong), given)["unknown"]) == pytest.approx(1.0)


def test_the_trimap_is_judged_by_the_planes_before_they_are_saturated():
    batch, said = sample(True), output(torch.rand(2, 1, 32, 32))
    other = torch.rand(2, 3, 8, 8).softmax(dim=1)
    before = joint_losses(said, batch)["trimap"]
    assert joint_losses(said._replace(trimap=other), batch)["trimap"] == before
    assert joint_losses(said._replace(soft_trimap=other), batch)["trimap"] != before


def test_composition_counts_an_error_by_how_far_it_shows():
    batch, wrong = sample(True), output(torch.rand(2, 1, 32, 32))
    half, none = (
        joint_losses(wrong, batch._replace(contrast=torch.full_like(batch.alpha, contrast)))
        for contrast in (0.5, 0.0)
    )
    unknown = masked_mean((wrong.alpha - batch.alpha).abs(), true_unknown(batch.alpha))
    assert float(half["composition"]) == pytest.approx(0.5 * float(unknown), rel=1e-5)
    assert none["composition"] == 0


def test_a_band_wider_than_the_hair_costs():
    alpha = square(64)
    alpha[..., 8, :] = 0.5
    unknown = true_unknown(alpha)
    hidden = torch.nn.functional.max_pool2d(unknown, 4)
    costs = []
    for extra in (0, 1, 3):
        band = torch.nn.functional.max_pool2d(hidden, 2 * extra + 1, stride=1, padding=extra)
        inside = (torch.nn.functional.avg_pool2d(alpha, 4) > 0.5).float()
        planes = torch.cat([(1 - band) * (1 - inside), band, (1 - band) * inside], dim=1)
        costs.append(float(trimap(planes, alpha, unknown, torch.ones_like(alpha))))
    assert costs[0] < 1e-3 < costs[1] < costs[2]


def test_a_batch_in_two_halves_gives_the_mean_of_their_losses():
    batch, alpha = sample(True), torch.rand(2, 1, 32, 32)
    whole = joint_losses(output(alpha), batch)
    halves = []
    for i in range(2):
        part = JointOutput(*(x[i : i + 1] for x in output(alpha)))
        halves.append(joint_losses(part, Sample(*(x[i : i + 1] for x in batch))))
    for name, value in whole.items():
        assert float(value) == pytest.approx(sum(float(half[name]) for half in halves) / 2, rel=1e-5)


def test_smoothing_is_the_binomial_convolution_with_its_edge_repeated():
    x, taps = torch.rand(2, 1, 6, 9), torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    expected = functional.conv2d(
        functional.pad(x, (2, 2, 2, 2), mode="replicate"), torch.outer(taps, taps)[None, None]
    )
    torch.testing.assert_close(_blur(x), expected)
