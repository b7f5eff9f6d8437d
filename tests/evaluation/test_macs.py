import pytest

torch = pytest.importorskip("torch")

from jointmat.evaluation.macs import count
from tests.tiny import tiny_model


def test_a_convolution_as_counted_by_hand():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, padding=1, bias=False), torch.nn.ReLU())
    macs = 8 * 10 * 5 * 3 * 9
    assert count(network, torch.rand(1, 3, 8, 10)) == {"0": (135, macs), "1": (0, 0), "all": (135, macs)}


def test_the_parts_of_a_network():
    model = tiny_model()
    costs = count(model, torch.rand(1, 3, 64, 64))
    assert list(costs) == [*(name for name, _ in model.named_children()), "all"]
    for name, (parameters, _) in costs.items():
        part = model if name == "all" else getattr(model, name)
        assert parameters == sum(p.numel() for p in part.parameters())
    stem = next(m for m in model.encoder.modules() if isinstance(m, torch.nn.Conv2d))
    assert costs["encoder"][1] > stem.weight.numel() * 32 * 32
    # the soft trimap belongs to no part
    assert 0 < sum(macs for name, (_, macs) in costs.items() if name != "all") <= costs["all"][1]
