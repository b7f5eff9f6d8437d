import dataclasses

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from jointmat.errors import ConfigError
from jointmat.evaluation.manifest import Item, Kind
from train.config import DataConfig, PartConfig
from train.data.dataset import Mixture, cut_out

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
    plain = Mixture(config(material, hair=0.0), 4, 100, 0.0)
    given = Mixture(config(material, hair=0.0), 4, 100, 1.0)
    hairy = Mixture(config(material, hair=0.5), 4, 100, 0.0)
    assert all(equal(plain[index], given[index]) for index in range(12))
    same = [equal(plain[index], hairy[index]) for index in range(24)]
    assert 8 < sum(same) < 24


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
        for plane in sample[:3]:
            assert plane.dtype == torch.float32
            assert float(plane.min()) >= 0 and float(plane.max()) <= 1


def test_a_coarse_mask_is_not_trusted_at_its_edge(material):
    parts = (PartConfig(1.0, ("train",), ("masks",)),)
    sample = Mixture(config(material, mixture=parts, shapes=((96, 96),), mask_doubt=0.05), 1, 1)[0]
    edge = (sample.alpha > 0.05) & (sample.alpha < 0.95)
    assert float(sample.exact) == 0
    assert edge.any() and not sample.weight[edge].any()
    assert sample.weight.mean() > 0.3


def test_a_cutout_is_exact_and_soft(material):
    parts = (PartConfig(1.0, ("train",), ("cutouts",)),)
    sample = Mixture(config(material, mixture=parts, shapes=((64, 64),)), 1, 1)[0]
    assert float(sample.exact) == 1 and sample.weight.all()
    assert ((sample.alpha > 0.2) & (sample.alpha < 0.8)).any()


def test_a_background_has_nobody_in_it(material):
    parts = (PartConfig(1.0, ("train",), ("bg",)),)
    sample = Mixture(config(material, mixture=parts), 1, 1)[0]
    assert not sample.alpha.any() and float(sample.exact) == 1


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


def test_batches_with_a_trimap_come_from_their_own_material(material):
    things = PartConfig(sources=("cutouts",), people=False)
    people = (PartConfig(sources=("masks",)),)
    data = Mixture(config(material, mixture=people, given=(things,)), 4, 160, given_share=0.5)
    for index in range(0, 160, 4):
        sample, given = data[index], data.is_given(index // 4)
        assert (float(sample.exact), float(sample.person)) == ((1.0, 0.0) if given else (0.0, 1.0))
    assert {item.source for item in data.items()} == {"masks", "cutouts", "bg"}


def test_drawn_subjects_are_no_people_and_fill_the_batches_that_they_are_to(material):
    data = Mixture(config(material, drawn=1.0), 4, 40, given_share=1.0)
    samples = [data[index] for index in range(8)]
    assert all(float(s.person) == 0 and float(s.exact) == 1 and s.weight.all() for s in samples)
    assert all(0 < float(s.alpha.mean()) < 1 for s in samples)


def alphas(material, count=16, **odds):
    """Of the cut-outs, with nothing else in the picture but what `odds` say."""
    quiet = dict.fromkeys(("second_person", "occluder", "clutter", "hair", "close_up", "plain_background"), 0.0)
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


def test_seen_close_a_subject_is_larger(material):
    def soft(alpha):
        return float(((alpha > 0.02) & (alpha < 0.98)).float().mean())

    assert soft(alphas(material, close_up=1.0)) > 1.2 * soft(alphas(material))


def test_a_subject_is_put_elsewhere_in_its_own_colours_without_the_fringe(tmp_path):
    alpha = np.tile((255 * np.clip((np.arange(64) - 26) / 12, 0, 1)).round().astype(np.uint8), (64, 1))
    share = alpha[..., None] / 255
    photo = share * np.array([220, 30, 20]) + (1 - share) * np.array([20, 200, 40])  # red before green
    cv2.imwrite(str(tmp_path / "photo.png"), photo.round().astype(np.uint8)[..., ::-1])
    cv2.imwrite(str(tmp_path / "alpha.png"), alpha)
    item = Item(Kind.ALPHA, "own", "a", tmp_path / "photo.png", label=tmp_path / "alpha.png")
    rgba = cut_out(item)
    np.testing.assert_array_equal(rgba[..., 3], alpha)
    half = (alpha > 80) & (alpha < 175)
    raw, clean = (np.abs(p[half] - np.array([220, 30, 20])).mean() for p in (photo, rgba[..., :3].astype(float)))
    assert raw > 50 and clean < 0.4 * raw
