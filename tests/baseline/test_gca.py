"""The published network against a second derivation from the state dict of a synthetic checkpoint."""

import json
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from jointmat.baseline.gca import load_gca_checkpoint
from jointmat.errors import InputError, WeightsError

# Names and shapes of the released checkpoints' state dict, without the prefix `module.`.
PUBLISHED = json.loads(Path(__file__).with_name("gca_state_dict.json").read_text())


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """At these sizes threads do not help, and on a busy machine they wait for each other (40× measured)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- A checkpoint in the released format


def random_entry(name, shape, generator):
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith(".weight")):
        return 0.5 + torch.rand(shape, generator=generator)
    return torch.randn(shape, generator=generator) * (0.3 if len(shape) == 1 else 1.0)


def iterate(weight, u, steps):
    """Power iterations; without them σ of a random weight is near 0 and the activations explode."""
    matrix = weight.reshape(weight.shape[0], -1)
    for _ in range(steps):
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    return u, v


def random_state():
    generator = torch.Generator().manual_seed(0)
    state = OrderedDict((name, random_entry(name, shape, generator)) for name, shape in PUBLISHED.items())
    for name in PUBLISHED:
        if name.endswith("weight_bar"):
            stem = name.removesuffix("bar")
            state[f"{stem}u"], state[f"{stem}v"] = iterate(state[name], state[f"{stem}u"], steps=30)
        elif name.endswith(("guidance_conv.weight", "W.0.weight", "decoder.conv2.weight")):
            state[name] /= state[name][0].numel() ** 0.5  # the convolutions without spectral normalisation
    return state


def save_as_released(path, state):
    """What the authors' trainer writes, in the file format of the torch of 2020."""
    scrap = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(scrap.parameters(), lr=4e-4, betas=[0.5, 0.999])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=195_000)
    loss = scrap(torch.ones(1, 2)).sum()
    loss.backward()
    optimizer.step()
    checkpoint = {
        "iter": 200_000,
        "loss": loss,
        "state_dict": OrderedDict((f"module.{name}", value) for name, value in state.items()),
        "opt_state_dict": optimizer.state_dict(),
        "lr_state_dict": schedule.state_dict(),
    }
    torch.save(checkpoint, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="module")
def state():
    return random_state()


@pytest.fixture(scope="module")
def checkpoint(state, tmp_path_factory):
    path = save_as_released(tmp_path_factory.mktemp("gca") / "gca-dist.pth", state)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def model(checkpoint):
    return load_gca_checkpoint(checkpoint)


def batch(height, width, count=2, seed=1):
    """Random images, and trimaps with all three classes in other shares for each image."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(count, 3, height, width, generator=generator)
    shade = torch.rand(count, 1, height // 16, width // 16, generator=generator)
    shade = F.interpolate(shade, scale_factor=16, mode="bilinear")
    limits = torch.tensor([0.35, 0.55]).view(1, 2, 1, 1) + torch.linspace(-0.1, 0.1, count).view(-1, 1, 1, 1)
    label = (shade > limits).sum(1)
    assert label.unique().tolist() == [0, 1, 2]
    return image, F.one_hot(label, 3).permute(0, 3, 1, 2).float()


# --- The second derivation: one function per kind of layer, by names, without any module


class Reference:
    """The published forward, unfolded: σ = u·(W v) on the fly, the attention as loops over places."""

    def __init__(self, state):
        self.state, self.read = state, set()

    def __call__(self, image, trimap):
        mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 1, 3, 1, 1)
        x = torch.cat([(image - mean) / std, trimap], 1)
        unknown = F.interpolate(trimap[:, 1:2], scale_factor=1 / 8, mode="nearest")
        one = self.norm(self.conv(x, "encoder.conv1", stride=2), "encoder.bn1").relu()
        one = self.norm(self.conv(one, "encoder.conv2"), "encoder.bn2").relu()
        two = self.norm(self.conv(one, "encoder.conv3", stride=2), "encoder.bn3").relu()
        two = self.down(two, "encoder.layer1", 3)
        guidance = x[:, :3]
        for i in (1, 5, 9):
            guidance = F.pad(guidance, (1, 1, 1, 1), mode="reflect")
            guidance = self.conv(guidance, f"encoder.guidance_head.{i}", stride=2, padding=0).relu()
            guidance = self.norm(guidance, f"encoder.guidance_head.{i + 2}")
        three = self.attend("encoder.gca", guidance, self.down(two, "encoder.layer2", 4), unknown)
        four = self.down(three, "encoder.layer3", 4)
        y = self.down(four, "encoder.layer_bottleneck", 2)
        skips = [self.shortcut(f, f"encoder.shortcut.{i}") for i, f in enumerate((x, one, two, three, four))]
        y = self.up(y, "decoder.layer1", 2) + skips[4]
        y = self.up(y, "decoder.layer2", 3) + skips[3]
        y = self.attend("decoder.gca", guidance, y, unknown)
        y = self.up(y, "decoder.layer3", 3) + skips[2]
        y = self.up(y, "decoder.layer4", 2) + skips[1]
        y = F.leaky_relu(self.norm(self.double(y, "decoder.conv1"), "decoder.bn1"), 0.2) + skips[0]
        y = F.conv2d(y, self["decoder.conv2.weight"], self["decoder.conv2.bias"], padding=1)
        return (torch.tanh(y) + 1) / 2

    def __getitem__(self, name):
        self.read.add(name)
        return self.state[name]

    def weight(self, name):
        bar, u, v = (self[f"{name}.module.weight_{part}"] for part in ("bar", "u", "v"))
        sigma = (u[:, None] * bar.reshape(len(u), len(v)) * v[None]).sum()
        return bar / sigma

    def conv(self, x, name, stride=1, padding=None):
        weight = self.weight(name)
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2 if padding is None else padding)

    def double(self, x, name):
        return F.conv_transpose2d(x, self.weight(name), None, 2, 1)

    def norm(self, x, name):
        mean, var, gain, bias = (
            self[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * gain + bias

    def shortcut(self, x, name):
        x = self.norm(self.conv(x, f"{name}.0").relu(), f"{name}.2")
        return self.norm(self.conv(x, f"{name}.3").relu(), f"{name}.5")

    def down(self, x, name, blocks):
        for i in range(blocks):
            block, identity, stride = f"{name}.{i}", x, 1
            if f"{block}.downsample.1.module.weight_bar" in self.state:
                identity, stride = self.conv(F.avg_pool2d(x, 2), f"{block}.downsample.1"), 2
                identity = self.norm(identity, f"{block}.downsample.2")
            y = self.norm(self.conv(x, f"{block}.conv1", stride), f"{block}.bn1").relu()
            x = (self.norm(self.conv(y, f"{block}.conv2"), f"{block}.bn2") + identity).relu()
        return x

    def up(self, x, name, blocks):
        for i in range(blocks):
            block, identity, first = f"{name}.{i}", x, self.conv
            if f"{block}.upsample.1.module.weight_bar" in self.state:
                identity = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
                identity = self.norm(self.conv(identity, f"{block}.upsample.1"), f"{block}.upsample.2")
                first = self.double
            y = F.leaky_relu(self.norm(first(x, f"{block}.conv1"), f"{block}.bn1"), 0.2)
            x = F.leaky_relu(self.norm(self.conv(y, f"{block}.conv2"), f"{block}.bn2") + identity, 0.2)
        return x

    def attend(self, name, guidance, alpha, unknown):
        f = F.conv2d(guidance, self[f"{name}.guidance_conv.weight"], self[f"{name}.guidance_conv.bias"])
        pasted = torch.stack([attend_one(*maps) for maps in zip(f, alpha, unknown, strict=True)])
        return self.norm(F.conv2d(pasted, self[f"{name}.W.0.weight"]), f"{name}.W.1") + alpha


def attend_one(f, alpha, unknown):
    """Steps (2) to (10) for one image, a loop over queries and one over keys."""
    f, unknown = f[:, ::2, ::2], unknown[:, ::2, ::2]
    places = [(y, x) for y in range(f.shape[1]) for x in range(f.shape[2])]
    share = unknown.mean().item()
    unknown_scale = min(max((share / (1 - share)) ** 0.5, 0.1), 10)
    known_scale = min(max(((1 - share) / share) ** 0.5, 0.1), 10)
    f, alpha, unknown = (F.pad(m[None], (1, 1, 1, 1), mode="reflect")[0] for m in (f, alpha, unknown))
    queries = [f[:, y : y + 3, x : x + 3] for y, x in places]
    is_unknown = [unknown[:, y : y + 3, x : x + 3].mean() > 0 for y, x in places]
    pasted = torch.zeros_like(alpha)
    for n, (y, x) in enumerate(places):
        scores = torch.zeros(len(places))
        for j, key in enumerate(queries):
            scores[j] = (queries[n] * key).sum() / max(key.norm(), 1e-4)
            scores[j] *= unknown_scale if is_unknown[j] else known_scale
            scores[j] -= 1e4 if j == n and is_unknown[j] else 0
        shares = scores.softmax(0)
        for share, (ky, kx) in zip(shares, places, strict=True):
            value = alpha[:, 2 * ky : 2 * ky + 4, 2 * kx : 2 * kx + 4]
            pasted[:, 2 * y : 2 * y + 4, 2 * x : 2 * x + 4] += share * value
    return pasted[:, 1:-1, 1:-1] / 4


# --- Forward


@pytest.mark.parametrize("size", [(64, 96), (32, 64)])
def test_forward_equals_the_unfolded_derivation(model, state, size):
    image, trimap = batch(*size)
    reference = Reference(state)
    with torch.inference_mode():
        expected, alpha = reference(image, trimap), model(image, trimap)
    assert alpha.shape == (2, 1, *size)
    assert expected.std() > 0.1  # neither flat nor saturated
    assert (expected > 0.01).float().mean() > 0.5 < (expected < 0.99).float().mean()
    torch.testing.assert_close(alpha, expected, atol=1e-5, rtol=0)
    assert reference.read == {name for name in PUBLISHED if not name.endswith("num_batches_tracked")}


def test_attention_takes_part(model, state):
    """The equality above would say little if the attention did not reach the output."""
    image, trimap = batch(64, 96)
    silent = {name: torch.zeros_like(v) if ".gca.W.1.weight" in name else v for name, v in state.items()}
    with torch.inference_mode():
        assert (Reference(silent)(image, trimap) - model(image, trimap)).abs().max() > 0.01


@pytest.mark.parametrize("plane", range(3))
def test_a_trimap_of_one_class_gives_a_finite_alpha(model, plane):
    image, trimap = batch(64, 64)
    trimap = torch.zeros_like(trimap)
    trimap[:, plane] = 1
    with torch.inference_mode():
        alpha = model(image, trimap)
    assert alpha.isfinite().all()
    assert 0 <= alpha.min() <= alpha.max() <= 1


def test_a_batch_that_does_not_fit(model):
    with pytest.raises(InputError, match="got 48x64, expected height and width divisible by 32"):
        model(torch.zeros(1, 3, 48, 64), torch.zeros(1, 3, 48, 64))
    with pytest.raises(InputError, match=r"trimap: got \(1, 1, 64, 64\)"):
        model(torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64))


# --- One image


def image_and_trimap(height, width, seed=3):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    trimap = rng.choice(np.array([0, 84, 85, 128, 169, 170, 255], np.uint8), (height, width))
    return image, trimap


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (31, 33), (64, 32), (65, 70)])
def test_matte_pads_as_the_demo_and_keeps_what_is_known(model, size):
    image, trimap = image_and_trimap(*size)
    height, width = size
    below, right = 32 * ((height - 1) // 32 + 1) - height, 32 * ((width - 1) // 32 + 1) - width
    margins = ((32, 32 + below), (32, 32 + right))
    padded = np.pad(image, (*margins, (0, 0)), mode="reflect").astype(np.float32) / 255
    label = np.digitize(np.pad(trimap, margins, mode="reflect"), [85, 170])
    with torch.inference_mode():
        alpha = model(
            torch.from_numpy(padded).permute(2, 0, 1)[None],
            F.one_hot(torch.from_numpy(label), 3).permute(2, 0, 1)[None].float(),
        )
    expected = alpha[0, 0, 32 : 32 + height, 32 : 32 + width].numpy().copy()
    expected[trimap < 85] = 0
    expected[trimap >= 170] = 1
    matte = model.matte(image, trimap)
    assert matte.dtype == np.float32
    np.testing.assert_allclose(matte, expected, rtol=0, atol=1e-6)


def test_matte_reads_any_memory_layout_and_leaves_it_alone(model):
    image, trimap = image_and_trimap(40, 50)
    expected = model.matte(image, trimap)
    strided = image[:, ::-1].copy()[:, ::-1], np.asfortranarray(trimap)
    for array in strided:
        array.setflags(write=False)
    np.testing.assert_array_equal(model.matte(*strided), expected)


@pytest.mark.parametrize(
    ("image", "trimap"),
    [
        (np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8)),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8))),
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9), np.uint8)),
    ],
)
def test_images_that_cannot_be_matted(model, image, trimap):
    with pytest.raises(InputError, match="expected uint8 HxWx3 and HxW, got "):
        model.matte(image, trimap)


# --- Checkpoint files


def hollow(**changes):
    """A state of the right names and shapes that takes no space on disk; None removes an entry."""
    state = {name: torch.ones(()).expand(shape) for name, shape in PUBLISHED.items()} | changes
    return {name: value for name, value in state.items() if value is not None}


def test_every_entry_is_used_and_folding_is_exact(model, state):
    plain = model.state_dict()
    folded = {name.removesuffix(".weight") for name in plain.keys() - state.keys()}
    assert len(state) == 578 == len(plain) + 2 * len(folded)
    assert sum(p.numel() for p in model.parameters()) == 25_164_529
    for name in folded:
        bar, u, v = (state[f"{name}.module.weight_{part}"] for part in ("bar", "u", "v"))
        assert torch.equal(plain[f"{name}.weight"], bar / u.dot(bar.flatten(1).mv(v)))
    assert all(torch.equal(plain[name], state[name]) for name in plain.keys() & state.keys())
    assert not model.training


def test_a_state_without_the_prefix_in_a_new_file_loads_too(tmp_path):
    torch.save({"state_dict": hollow()}, tmp_path / "own.pth")
    plain = load_gca_checkpoint(str(tmp_path / "own.pth")).state_dict()
    assert plain["encoder.gca.W.0.weight"].eq(1).all()
    # A matrix of ones between vectors of ones: σ = 32·54, the number of its entries.
    assert plain["encoder.conv1.weight"].eq(1 / (32 * 54)).all()


def test_differences_are_listed(tmp_path):
    changes = {"encoder.bn1.bias": None, "decoder.conv2.weight": torch.zeros(1, 64, 3, 3)}
    changes |= {"head.weight": torch.zeros(1), "encoder.bn1.running_mean": torch.full((32,), torch.nan)}
    torch.save({"state_dict": hollow(**changes)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError) as caught:
        load_gca_checkpoint(tmp_path / "other.pth")
    for text in ("missing encoder.bn1.bias", "(1, 64, 3, 3), expected (1, 32, 3, 3)", "unexpected head.weight"):
        assert text in str(caught.value)
    assert "encoder.bn1.running_mean has values that are not finite" in str(caught.value)


@pytest.mark.parametrize("u", [None, torch.ones(31), torch.ones(32, 1)])
def test_a_spectral_norm_that_does_not_fit(tmp_path, u):
    torch.save({"state_dict": hollow(**{"encoder.conv1.module.weight_u": u})}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not the weights of GCA-Matting"):
        load_gca_checkpoint(tmp_path / "other.pth")


@pytest.mark.parametrize("content", [b"", b"not weights\n" * 9, b"PK\x03\x04" + bytes(64)])
def test_files_that_torch_cannot_read(tmp_path, content):
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"bad\.pth: not a PyTorch checkpoint that can be read safely"):
        load_gca_checkpoint(path)


def test_a_file_that_was_cut_off(tmp_path, checkpoint):
    path = tmp_path / "cut.pth"
    with checkpoint.open("rb") as file:
        path.write_bytes(file.read(40_000))
    with pytest.raises(WeightsError, match=r"cut\.pth: not a PyTorch checkpoint that can be read safely"):
        load_gca_checkpoint(path)


@pytest.mark.parametrize(
    "content", [torch.zeros(3), {"model": {}}, {"state_dict": 1}], ids=["tensor", "model", "number"]
)
def test_files_of_something_else(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="expected a checkpoint with a dict 'state_dict'"):
        load_gca_checkpoint(tmp_path / "other.pth")


def test_files_that_are_not_there(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(WeightsError, match="no such file; expected a GCA-Matting checkpoint"):
            load_gca_checkpoint(path)


class Malicious:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


@pytest.mark.parametrize("zipped", [False, True])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, zipped):
    content = {"state_dict": hollow(), "loss": Malicious(tmp_path / "canary")}
    torch.save(content, tmp_path / "bad.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"bad\.pth: not a PyTorch checkpoint that can be read safely"):
        load_gca_checkpoint(tmp_path / "bad.pth")
    assert not (tmp_path / "canary").exists()
