"""One command makes every file of a model, and a card that vouches for them."""

import json
import tomllib
from pathlib import Path

import pytest

import jointmat
from export.publish import publish
from jointmat.config import ModelConfig, from_mapping
from jointmat.errors import ExportError, InputError, WeightsError
from jointmat.weights import save_weights, sha256
from tests.tiny import CONFIG, tiny_model

ROOT = Path(__file__).parents[2]
MADE = {"tiny.safetensors", "tiny.onnx", "tiny-int8.onnx"}


@pytest.fixture
def card(published):
    return json.loads((published.folder / "tiny.json").read_text(encoding="utf-8"))


def test_every_file_is_there_and_those_of_other_weights_are_gone(published):
    assert {path.name for path in published.folder.iterdir()} == MADE | {"tiny.json", "other.onnx"}


def test_the_card_states_the_sums_of_all_files(published, card):
    assert card["sha256"] == {name: sha256(published.folder / name) for name in MADE}


def test_the_card_says_what_the_model_is(card):
    assert (card["name"], card["version"]) == ("tiny", jointmat.__version__)
    assert from_mapping(ModelConfig, card["model"]) == CONFIG
    assert "training sources" in card["licence"]["weights"]
    assert card["commands"] == ["first", "second"]


def test_the_card_and_the_table_say_what_int8_costs(published, card):
    plain, int8 = card["precision"]["fp32"], card["precision"]["int8"]
    assert plain["mean_abs_difference"] == 0
    assert 0 < int8["mean_abs_difference"] < 0.05
    assert plain["sad"].keys() == int8["sad"].keys() == {"mattes"}
    assert plain["sad"]["mattes"] != int8["sad"]["mattes"]
    text = "\n".join(published.printed)
    change = int8["sad"]["mattes"] / plain["sad"]["mattes"] - 1
    assert f"{int8['sad']['mattes']:.2f} ({change:+.1%})" in text
    assert "SAD mattes (2)" in text
    assert "max |onnx − torch|" in text
    assert published.printed[-1].endswith("tiny.json and the files it names")


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "two.safetensors"
    other = from_mapping(
        ModelConfig, {**CONFIG.__dict__, "architecture": "two-model", "unet_channels": (16, 8, 8, 8)}
    )
    save_weights(tiny_model(other), path)
    with pytest.raises(WeightsError):
        list(publish(path, "two", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_made_leaves_what_was_published(exported, tmp_path, monkeypatch):
    kept = {}
    for name in ("tiny.safetensors", "tiny.onnx", "tiny.json"):
        (tmp_path / name).write_text(kept.setdefault(name, json.dumps({"sha256": {"tiny.onnx": ""}})))

    def fails(*_, **__):
        raise ExportError("does not agree")

    monkeypatch.setattr("export.publish.export_onnx", fails)
    with pytest.raises(ExportError):
        list(publish(exported.weights, "tiny", tmp_path))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == kept


def test_data_without_labelled_photos_is_refused_before_the_work(exported, tmp_path):
    with pytest.raises(InputError, match=r"manifest\.csv: no such file"):
        list(publish(exported.weights, "tiny", tmp_path / "out", tmp_path))
    assert not (tmp_path / "out").exists()


def test_the_package_holds_every_file_that_ships():
    """An ONNX file that a card lists and the wheel lacks could not be used after an installation."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert all(target == f"jointmat/{source}" for source, target in included.items())
    for path in (ROOT / "weights").glob("*.json"):
        listed = json.loads(path.read_text(encoding="utf-8"))["sha256"]
        graphs = [name for name in listed if name.endswith(".onnx")]
        assert {f"weights/{name}" for name in (path.name, *graphs)} <= included.keys()
