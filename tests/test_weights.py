"""Weights come back as they were saved, and nothing else is ever loaded."""

import json
import os
import pickle
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from jointmat import weights
from jointmat.build import load_model
from jointmat.config import ModelConfig, from_mapping, to_mapping
from jointmat.errors import WeightsError
from jointmat.weights import find_weights, known_models, read_card, read_training, save_weights, sha256
from tests.tiny import CONFIG, images, tiny_model


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def saved(model, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_weights(model, path)
    return path


@pytest.fixture
def folder(saved, monkeypatch):
    """A folder of named models with one of them, `tiny`, and its card."""
    card = {"sha256": {saved.name: sha256(saved)}}
    saved.with_suffix(".json").write_text(json.dumps(card))
    monkeypatch.setattr(weights, "_FOLDERS", (saved.parent,))
    return saved.parent


def message(path):
    with pytest.raises(WeightsError) as error:
        load_model(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value)


def header(**changes):
    metadata = {"format": "jointmat", "config": json.dumps(to_mapping(CONFIG))} | changes
    return {key: value for key, value in metadata.items() if value is not None}


# --- Round trip


def test_a_saved_model_comes_back_equal(model, saved):
    loaded = load_model(saved)
    assert not loaded.training
    assert loaded.config == model.config
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    with torch.inference_mode():
        image = images(1, 64, 64)
        assert torch.equal(loaded(image).alpha, model(image).alpha)


def test_the_header_holds_the_configuration(saved):
    with safe_open(saved, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
    assert from_mapping(ModelConfig, config) == CONFIG


def test_constants_are_not_stored(saved):
    with safe_open(saved, framework="pt") as file:
        assert not [name for name in file.keys() if name.rpartition(".")[2].startswith("_")]  # noqa: SIM118


# --- Damaged and foreign files


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.999])
def test_a_truncated_file(saved, keep):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    assert "not a readable safetensors file" in message(saved)


def test_garbage(tmp_path, rng):
    path = tmp_path / "garbage.safetensors"
    path.write_bytes(rng.bytes(10_000))
    assert "not a readable safetensors file" in message(path)


@pytest.mark.parametrize("save", [pickle.dump, torch.save])
def test_a_pickle_is_never_opened(tmp_path, save):
    canary = tmp_path / "canary"

    class Malicious:
        def __reduce__(self):
            return os.system, (f"touch {canary}",)

    path = tmp_path / "evil.safetensors"
    with path.open("wb") as file:
        save({"state_dict": Malicious()}, file)
    assert "not a readable safetensors file" in message(path)
    assert not canary.exists()


def test_a_missing_file_and_a_folder(tmp_path):
    assert "not a readable safetensors file" in message(tmp_path / "missing.safetensors")
    assert "not a readable safetensors file" in message(tmp_path)


def test_a_file_of_another_package(model, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file(model.state_dict(), path)
    assert "format=jointmat" in message(path)


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        (None, "config"),
        ("{", "config"),
        ("[1, 2]", "config"),
        ('{"encoder": "test_efficientnet", "depth": 3}', "unknown key depth"),
        ('{"encoder": "no_such_backbone"}', "no_such_backbone"),
    ],
)
def test_a_header_without_a_usable_configuration(model, tmp_path, config, cause):
    path = tmp_path / "tiny.safetensors"
    save_file(model.state_dict(), path, header(config=config))
    assert cause in message(path)


@pytest.mark.parametrize(
    "training", ["", "[]", "{", "[1]", '{"sources": 1}', '{"stages": [1]}', '{"hours": "1"}', 100_000 * "["]
)
def test_a_header_that_does_not_say_how_it_was_trained(model, tmp_path, training):
    path = tmp_path / "tiny.safetensors"
    save_file(model.state_dict(), path, header(training=training))
    with pytest.raises(WeightsError, match="how it was trained"):
        read_training(path)


# --- Tensors that do not fit the configuration


@pytest.fixture
def with_state(model, tmp_path):
    """Save the state of the model after a change."""

    def save(change):
        state = {name: value.clone() for name, value in model.state_dict().items()}
        change(state)
        path = tmp_path / "changed.safetensors"
        save_file(state, path, header())
        return path

    return save


BIAS = "decoder.to_alpha.bias"


def test_a_missing_tensor(with_state):
    assert message(with_state(lambda state: state.pop(BIAS))).endswith(f": missing {BIAS}")


def test_an_unexpected_tensor(with_state):
    path = with_state(lambda state: state.update(extra=torch.zeros(2)))
    assert message(path).endswith(": unexpected extra")


def test_a_tensor_of_another_shape(with_state):
    path = with_state(lambda state: state.update({BIAS: torch.zeros(5)}))
    assert message(path).endswith(f": {BIAS} is (5,), expected (4,)")


def test_several_differences_are_listed_together(with_state):
    def change(state):
        del state[BIAS]
        state["extra"] = torch.zeros(2)
        state["segmentation.to_maps.bias"] = torch.zeros(3)

    text = message(with_state(change))
    assert f"missing {BIAS}" in text
    assert "unexpected extra" in text
    assert "segmentation.to_maps.bias is (3,), expected (2,)" in text


def test_many_differences_are_counted(with_state):
    path = with_state(lambda state: state.update({f"extra{i}": torch.zeros(1) for i in range(9)}))
    assert message(path).endswith("unexpected extra4 and 4 more")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite(with_state, value):
    path = with_state(lambda state: state[BIAS].fill_(value))
    assert message(path).endswith(f": {BIAS} has values that are not finite")


@pytest.mark.parametrize("architecture", ["joint", "two-model"])
def test_a_header_that_asks_for_no_known_encoder(model, tmp_path, architecture):
    config = json.dumps({**to_mapping(CONFIG), "encoder": "no such", "architecture": architecture})
    path = tmp_path / "a.safetensors"
    save_file(model.state_dict(), path, header(config=config))
    assert "its header has no usable config" in message(path)


def test_whole_numbers_are_no_weights(model, tmp_path):
    state = {name: value.to(torch.int32) for name, value in model.state_dict().items()}
    save_file(state, tmp_path / "a.safetensors", header())
    assert "dtype int32, expected floats" in message(tmp_path / "a.safetensors")


# --- Names, cards and sums


def test_a_named_model(folder, model):
    path = find_weights("tiny", ".safetensors")
    assert path == folder / "tiny.safetensors"
    assert torch.equal(load_model(path).decoder.to_alpha.bias, model.decoder.to_alpha.bias)
    assert known_models() == ["tiny"]


def test_a_path_needs_no_card(saved, tmp_path):
    elsewhere = shutil.copy(saved, tmp_path / "elsewhere.safetensors")
    assert find_weights(elsewhere, ".onnx") == elsewhere
    assert find_weights(str(elsewhere), ".onnx") == elsewhere


def test_a_path_that_is_not_there(tmp_path):
    path = tmp_path / "missing.onnx"
    with pytest.raises(WeightsError) as error:
        find_weights(path, ".onnx")
    assert str(error.value) == f"{path}: no such weights file"


def test_an_unknown_name_lists_the_known(folder):
    with pytest.raises(WeightsError) as error:
        find_weights("tyni", ".safetensors")
    assert str(error.value) == "unknown model 'tyni' (no tyni.safetensors); available: tiny, or pass a file path"
    with pytest.raises(WeightsError, match="model 'tyni': no card; available: tiny"):
        read_card("tyni")


def test_a_sum_that_differs_names_both(folder):
    path = folder / "tiny.safetensors"
    stated = sha256(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError) as error:
        find_weights("tiny", ".safetensors")
    assert str(error.value).startswith(f"{path}: sha256 is {sha256(path)}, its card says {stated}")
    assert stated != sha256(path)


@pytest.mark.parametrize("card", ["", "{", "[]", "{}", '{"sha256": {}}', '{"sha256": "abc"}', "[" * 200_000])
def test_a_card_that_vouches_for_nothing(folder, card):
    (folder / "tiny.json").write_text(card)
    with pytest.raises(WeightsError):
        find_weights("tiny", ".safetensors")


def test_a_model_without_a_card(folder):
    (folder / "tiny.json").unlink()
    with pytest.raises(WeightsError, match="model 'tiny': no card; available: none"):
        find_weights("tiny", ".safetensors")
