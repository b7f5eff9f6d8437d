import pytest
import torch

from train.config import DataConfig, PartConfig
from train.data.dataset import Mixture, Sample
from train.data.trimaps import draw_trimap, given_trimap
from train.losses import true_unknown


def batch(weight=1.0):
    alpha = torch.zeros(4, 1, 64, 48)
    alpha[..., 20:, 12:36] = 1
    alpha[..., 18:20, 12:36] = 0.5
    full = torch.full_like(alpha, weight)
    return Sample(torch.zeros(4, 3, 64, 48), alpha, full, torch.ones(4), full, torch.ones(4))


@pytest.mark.parametrize("seed", range(5))
def test_a_drawn_trimap_covers_the_hair_and_is_right_where_it_is_sure(seed):
    sample = batch()
    planes = draw_trimap(sample, torch.Generator().manual_seed(seed))
    background, unknown, foreground = planes.split(1, dim=1)
    assert torch.equal(planes.sum(dim=1), torch.ones(4, 64, 48)) and set(planes.unique().tolist()) == {0, 1}
    assert (unknown >= true_unknown(sample.alpha, 1)).all()
    assert (sample.alpha[background == 1] == 0).all() and (sample.alpha[foreground == 1] == 1).all()
    assert background.any() and foreground.any()


def test_drawn_trimaps_differ_in_width_and_have_daubs():
    drawn = [draw_trimap(batch(), torch.Generator().manual_seed(seed)) for seed in range(24)]
    areas = {int(planes[0, 1].sum()) for planes in drawn}
    assert len(areas) > 10
    assert any(planes[0, 1, 40:, 20:28].any() for planes in drawn)  # well inside of the subject


def test_what_is_not_trusted_is_unknown():
    assert draw_trimap(batch(weight=0.0), torch.Generator().manual_seed(0))[:, 1].all()


def test_a_batch_of_the_data_gets_its_trimap_whoever_asks(material):
    parts = (PartConfig(sources=("cutouts",)),)
    data = Mixture(DataConfig(str(material), parts, shapes=((64, 64),)), 4, 80, given_share=0.5)
    drawn = [given_trimap(data, number, batch(), 8) for number in range(20)]
    assert [planes is not None for planes in drawn] == [data.is_given(number) for number in range(20)]
    assert 3 < sum(planes is not None for planes in drawn) < 17
    number = next(n for n in range(20) if data.is_given(n))
    half = Sample(*(plane[:2] for plane in batch()))
    assert torch.equal(given_trimap(data, number, half, 8), drawn[number][:2])  # of a process with half the batch
