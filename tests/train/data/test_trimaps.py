import numpy as np
import pytest

from train.data.trimaps import nothing, of_a_user, of_an_overview, without_prior

SEEDS = range(6)
DRAWN = [of_a_user, of_an_overview]
SIZE = (64, 48)


def subject():
    alpha = np.zeros(SIZE, np.float32)
    alpha[20:, 12:36] = 1
    alpha[18:20, 12:36] = 0.5
    return alpha


def drawn(make, seed=0, alpha=None, trust=1.0, width=8):
    alpha = subject() if alpha is None else alpha
    return make(np.random.default_rng(seed), alpha, np.full(alpha.shape, trust, np.float32), width)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", DRAWN)
def test_planes_are_in_range_and_sum_to_one(make, seed):
    trimap, prior = drawn(make, seed)
    assert trimap.shape == (3, *SIZE) and prior.shape == (1, *SIZE)
    for plane in (trimap, prior):
        assert plane.dtype == np.float32
        assert plane.min() >= -1e-6 and plane.max() <= 1 + 1e-6
    np.testing.assert_allclose(trimap.sum(axis=0), 1, atol=1e-6)
    assert all(plane.any() for plane in trimap)


def test_nothing_sums_to_zero():
    trimap, prior = nothing(SIZE)
    assert trimap.shape == (3, *SIZE) and prior.shape == (1, *SIZE)
    assert not trimap.any() and not prior.any()


@pytest.mark.parametrize("make", DRAWN)
def test_they_are_a_function_of_the_seed(make):
    first, again, other = (drawn(make, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.trimap, other.trimap)


@pytest.mark.parametrize("make", DRAWN)
def test_what_is_not_trusted_is_unknown(make):
    assert (drawn(make, trust=0.0).trimap[1] == 1).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("make", DRAWN)
def test_an_image_without_an_edge(make, value):
    trimap, prior = drawn(make, alpha=np.full(SIZE, value, np.float32))
    assert np.isfinite(trimap).all() and np.isfinite(prior).all()
    np.testing.assert_allclose(trimap.sum(axis=0), 1, atol=1e-6)


# --- As a user draws them


@pytest.mark.parametrize("seed", SEEDS)
def test_a_users_trimap_covers_the_hair_and_is_right_where_it_is_sure(seed):
    alpha = subject()
    background, unknown, foreground = drawn(of_a_user, seed).trimap
    assert set(np.unique(unknown)) == {0, 1}
    assert (unknown[(alpha > 0) & (alpha < 1)] == 1).all()
    assert (alpha[background == 1] == 0).all() and (alpha[foreground == 1] == 1).all()


def test_users_trimaps_differ_in_width_and_have_daubs():
    trimaps = [drawn(of_a_user, seed).trimap for seed in range(24)]
    assert len({int(planes[1].sum()) for planes in trimaps}) > 10
    assert any(planes[1, 40:, 20:28].any() for planes in trimaps)  # well inside of the subject


def test_a_users_trimap_is_no_wider_than_it_may_be():
    rows = np.concatenate([drawn(of_a_user, seed, width=4).trimap[1, :, 24] for seed in range(24)]).reshape(
        24, -1
    )
    outward = rows[:, :18][:, ::-1]  # from the soft edge up
    assert outward[:, :1].all()
    assert np.median(np.argmin(outward, axis=1)) <= 5


def test_a_users_trimap_says_no_more_by_its_prior():
    trimap, prior = drawn(of_a_user)
    np.testing.assert_array_equal(prior, trimap[2:] + trimap[1:2] / 2)


# --- As an overview leaves them


def test_an_overviews_prior_is_near_the_truth_but_not_the_truth():
    errors = [np.abs(drawn(of_an_overview, seed).prior[0] - subject()).mean() for seed in range(12)]
    assert 0 < min(errors) and max(errors) < 0.3


def test_an_overview_may_miss_a_strand_that_a_user_does_not():
    alpha = subject()
    alpha[8, 20:40] = 0.4  # thin, and off the rest
    strand = alpha == np.float32(0.4)
    missed = [
        bool((drawn(make, seed, alpha).trimap[0][strand] > 0.5).any()) for make in DRAWN for seed in range(12)
    ]
    assert not any(missed[:12]) and any(missed[12:])


def test_a_prior_may_be_left_out():
    given = drawn(of_an_overview)
    plain = without_prior(given)
    assert plain.trimap is given.trimap
    np.testing.assert_array_equal(plain.prior, given.trimap[2:] + given.trimap[1:2] / 2)
