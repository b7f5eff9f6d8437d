import dataclasses

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from jointmat.errors import ConfigError
from jointmat.evaluation.manifest import Item, Kind
from train.config import DataConfig, PartConfig
from train.data.dataset import Mixture
from train.data.decoded import read_cutout

HEAD = "id,split,source,licence,kind,image,label,trimap\n"


def config(material, **changes):
    parts = tuple(PartConfig(1.0, ("train",), (source,)) for source in ("masks", "cutouts", "bg"))
    base = DataConfig(
        str(material), parts, backgrounds=(PartConfig(sources=("bg",)),), shapes=((64, 32), (32, 64))
    )
    return dataclasses.replace(base, **changes)


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_sample_is_a_function_of_seed_and_index(material):
    first, again = (Mixture(config(material), 4, 100) for _ in range(2))
    other = Mixture(config(material, seed=2), 4, 100)
    first[3]  # making others before does not matter
    assert equal(first[17], again[17])
    assert not equal(first[17], other[17])
    assert not equal(first[17], first[18])


def test_runs_that_differ_in_their_trimaps_or_hair_see_the_same_samples(material):
    plain = Mixture(config(material), 4, 100)
    by_users = Mixture(config(material, user_trimaps=1.0), 4, 100)
    blind = Mixture(config(material, priors=0.0), 4, 100)
    for other in (by_users, blind):
        assert all(equal(plain[index][:5], other[index][:5]) for index in range(12))
        assert [bool(plain[i].is_given) for i in range(12)] == [bool(other[i].is_given) for i in range(12)]
    hairy = Mixture(config(material, hair=0.5), 4, 100)
    same = [equal(plain[index], hairy[index]) for index in range(24)]
    assert 8 < sum(same) < 24


def test_a_cache_does_not_change_the_samples(material, tmp_path):
    plain = Mixture(config(material), 4, 100)
    for _ in range(2):  # as it is written, and as it is read
        kept = Mixture(config(material, cache=str(tmp_path / "cache")), 4, 100)
        assert all(equal(plain[index], kept[index]) for index in range(16))
    assert list((tmp_path / "cache").glob("*.npy"))


def test_overviews_and_second_looks_stand_in_one_batch(material):
    data = Mixture(config(material, given_share=0.5), 8, 160)
    given = torch.tensor([[float(data[8 * b + i].is_given) for i in range(8)] for b in range(6)])
    assert 12 < given.sum() < 36
    assert any(0 < row.sum() < 8 for row in given)
    batch = next(iter(DataLoader(data, 8)))
    assert torch.equal(batch.is_given, given[0])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_samples_have_a_trimap_or_they_have_none(material, share):
    data = Mixture(config(material, given_share=share), 4, 100)
    for index in range(12):
        sample = data[index]
        total = sample.trimap.sum(dim=0)
        torch.testing.assert_close(total, torch.full_like(total, share))
        assert sample.trimap.min() >= -1e-6 and sample.prior.min() >= 0 and sample.prior.max() <= 1
        if not share:
            assert not sample.prior.any()


def test_some_second_looks_have_hard_trimaps_as_users_draw_them(material):
    def hard(share):
        data = Mixture(config(material, given_share=1.0, user_trimaps=share), 4, 100)
        return sum(set(data[i].trimap.unique().tolist()) <= {0.0, 1.0} for i in range(16))

    assert hard(0.0) < hard(0.5) < hard(1.0) == 16


def test_second_looks_are_about_pixel_for_pixel(tmp_path):
    """Stripes of 8 pixels: seen at one scale, their width tells by how much they were reduced."""
    stripes = np.repeat((np.arange(600) // 8 % 2 * 255).astype(np.uint8)[None], 600, axis=0)
    cv2.imwrite(str(tmp_path / "image.png"), np.dstack([stripes] * 3))
    edge = np.repeat((255 * np.clip((np.arange(600) - 280) / 40, 0, 1)).astype(np.uint8)[None], 600, axis=0)
    cv2.imwrite(str(tmp_path / "alpha.png"), edge)
    row = "a,train,own,CC0,alpha,image.png,alpha.png,\n"
    (tmp_path / "manifest.csv").write_text(HEAD + row)
    parts = (PartConfig(1.0, ("train",), ("own",)),)
    for scale in (1.0, 2.0):
        data = Mixture(
            DataConfig(
                str(tmp_path),
                parts,
                given_share=1.0,
                scale_given=(scale, scale),
                recompose=0.0,
                shapes=((96, 96),),
            ),
            1,
            20,
        )
        slopes = []
        for index in range(6):
            alpha = data[index].alpha[0].numpy()
            soft = (alpha[1:-1, 1:-1] > 0.05) & (alpha[1:-1, 1:-1] < 0.95)
            dy, dx = np.gradient(alpha)
            if soft.any():
                slopes.append(float(np.median(np.hypot(dx, dy)[1:-1, 1:-1][soft])))
        assert len(slopes) >= 4  # a window on a soft pixel shows soft ones
        assert np.median(slopes) == pytest.approx(scale / 40, rel=0.15)


def test_workers_do_not_change_the_samples(material):
    data = Mixture(config(material), 4, 16)
    alone, helped = (list(DataLoader(data, 4, num_workers=n)) for n in (0, 2))
    assert all(equal(a, b) for a, b in zip(alone, helped, strict=True))


def test_all_samples_of_a_batch_have_one_shape_and_batches_differ(material):
    data = Mixture(config(material), 4, 80)
    shapes = [{tuple(data[4 * b + i].image.shape) for i in range(4)} for b in range(20)]
    assert all(len(shape) == 1 for shape in shapes)
    assert set.union(*shapes) == {(3, 64, 32), (3, 32, 64)}


def test_planes_are_in_range(material):
    data = Mixture(config(material), 4, 40)
    for index in range(40):
        sample = data[index]
        for plane in (sample.image, sample.alpha, sample.weight, sample.contrast, sample.trimap, sample.prior):
            assert plane.dtype == torch.float32
            assert float(plane.min()) >= -1e-6 and float(plane.max()) <= 1 + 1e-6


def test_a_coarse_mask_is_not_trusted_at_its_edge(material):
    parts = (PartConfig(1.0, ("train",), ("masks",)),)
    sample = Mixture(config(material, mixture=parts, shapes=((96, 96),), mask_doubt=0.05), 1, 1)[0]
    edge = (sample.alpha > 0.05) & (sample.alpha < 0.95)
    assert float(sample.has_exact_alpha) == 0
    assert edge.any() and not sample.weight[edge].any()
    assert sample.weight.mean() > 0.3


def test_a_cutout_is_exact_and_soft(material):
    parts = (PartConfig(1.0, ("train",), ("cutouts",)),)
    sample = Mixture(config(material, mixture=parts, shapes=((64, 64),)), 1, 1)[0]
    assert float(sample.has_exact_alpha) == 1 and sample.weight.all()
    assert ((sample.alpha > 0.2) & (sample.alpha < 0.8)).any()


def test_a_background_has_nobody_in_it(material):
    parts = (PartConfig(1.0, ("train",), ("bg",)),)
    sample = Mixture(config(material, mixture=parts), 1, 1)[0]
    assert not sample.alpha.any() and float(sample.has_exact_alpha) == 1


def test_the_background_that_was_drawn_is_the_one_that_is_seen(material, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((96, 96, 3), (255, 0, 255), np.uint8))
    parts = (PartConfig(reader="backgrounds", root=str(tmp_path)),)
    data = Mixture(config(material, mixture=parts, plain_background=0, clutter=0), 1, 20)
    means = torch.stack([data[i].image.mean(dim=(1, 2)) for i in range(20)])
    magenta = (means[:, 0] > 0.9) & (means[:, 1] < 0.1) & (means[:, 2] > 0.9)
    assert magenta.sum() >= 15  # the others are those that became grey


def test_unset_root_says_how_to_set_it():
    with pytest.raises(ConfigError, match="--data DIR"):
        DataConfig().folder(PartConfig())


def test_second_looks_come_from_their_own_material(material):
    overviews, looks = (PartConfig(sources=("masks",)),), (PartConfig(sources=("cutouts",)),)
    data = Mixture(config(material, mixture=overviews, given=looks), 4, 160)
    for index in range(40):
        sample = data[index]
        assert float(sample.has_exact_alpha) == float(sample.is_given)
    assert {item.source for item in data.items()} == {"masks", "cutouts", "bg"}


def test_a_part_may_be_of_some_kinds_alone(material):
    parts = (PartConfig(kinds=("mask", "background")),)
    data = Mixture(config(material, mixture=parts, backgrounds=()), 4, 40)
    assert {item.source for item in data.items()} == {"masks", "bg"}


def test_drawn_shapes_fill_the_second_looks_that_they_are_to(material):
    masks = (PartConfig(sources=("masks",)),)
    data = Mixture(config(material, mixture=masks, given_share=1.0, synthetic_prob=1.0), 4, 40)
    samples = [data[index] for index in range(8)]
    assert all(float(s.has_exact_alpha) == 1 and s.weight.all() and s.is_given for s in samples)
    assert all(0 < float(s.alpha.mean()) < 1 for s in samples)
    none = Mixture(config(material, mixture=masks, given_share=0.0, synthetic_prob=1.0), 4, 40)
    assert all(float(none[index].has_exact_alpha) == 0 for index in range(8))


def alphas(material, count=16, **odds):
    """Of the cut-outs, with nothing else in the image but what `odds` say."""
    quiet = dict.fromkeys(
        ("second_person", "occluder", "clutter", "hair", "plain_background", "turned", "shadow"), 0.0
    )
    quiet |= {"given_share": 0.0, "small": 0.0}
    parts = (PartConfig(1.0, ("train",), ("cutouts",)),)
    data = Mixture(config(material, mixture=parts, shapes=((64, 64),), **{**quiet, **odds}), 4, count)
    return torch.stack([data[index].alpha for index in range(count)])


def test_somebody_behind_adds_to_the_alpha_and_something_in_front_takes_from_it(material):
    alone = alphas(material)
    behind, covered = alphas(material, second_person=1.0), alphas(material, occluder=1.0)
    assert (behind >= alone - 1e-6).all() and (behind > alone + 0.1).any()
    assert (covered <= alone + 1e-6).all() and (covered < alone - 0.1).any()


def test_an_object_in_the_background_is_no_subject(material):
    assert torch.equal(alphas(material, clutter=1.0), alphas(material))


def test_a_shadow_darkens_the_background_and_is_no_subject(material):
    assert torch.equal(alphas(material, shadow=1.0), alphas(material))


def test_small_subjects_are_small(material):
    assert alphas(material, small=1.0).mean() < 0.4 * alphas(material).mean()


def test_some_overviews_are_turned(material):
    plain, turned = alphas(material), alphas(material, turned=1.0)
    for before, after in zip(plain, turned, strict=True):
        quarters = [torch.equal(before.rot90(k, (-2, -1)), after) for k in range(4)]
        assert any(quarters[1:])


def test_a_subject_is_put_elsewhere_in_its_own_colours_without_the_fringe(tmp_path):
    alpha = np.tile((255 * np.clip((np.arange(64) - 26) / 12, 0, 1)).round().astype(np.uint8), (64, 1))
    share = alpha[..., None] / 255
    photo = share * np.array([220, 30, 20]) + (1 - share) * np.array([20, 200, 40])  # red before green
    cv2.imwrite(str(tmp_path / "photo.png"), photo.round().astype(np.uint8)[..., ::-1])
    cv2.imwrite(str(tmp_path / "alpha.png"), alpha)
    item = Item(Kind.ALPHA, "own", "a", tmp_path / "photo.png", label=tmp_path / "alpha.png")
    rgba = read_cutout(item)
    np.testing.assert_array_equal(rgba[..., 3], alpha)
    half = (alpha > 80) & (alpha < 175)
    raw, clean = (np.abs(p[half] - np.array([220, 30, 20])).mean() for p in (photo, rgba[..., :3].astype(float)))
    assert raw > 50 and clean < 0.4 * raw
