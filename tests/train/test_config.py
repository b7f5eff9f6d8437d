import dataclasses

import pytest

from jointmat.config import MODELS
from jointmat.errors import ConfigError
from train.__main__ import _with_root
from train.config import load_config


def write(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def test_shipped_configuration_loads(pytestconfig):
    config = load_config(pytestconfig.rootpath / "configs" / "lite.yaml", ["steps=5", "data.workers=3"])
    assert config.name == "lite" and config.model == MODELS["lite"]
    assert config.steps == 5 and config.data.workers == 3


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("stpes: 5", (), "unknown key stpes: did you mean steps?"),
        ("data: {workrs: 5}", (), "did you mean data.workers?"),
        ("steps: many", (), "steps='many': expected a valid integer, got str"),
        ("steps: 5", ("steps",), "expected key=value"),
        ("steps: 5", ("loss.alhpa=1",), "did you mean loss.alpha?"),
        ("model: huge", (), "expected one of lite, base"),
        ("- 5", (), "expected a mapping"),
        ("a: [", (), "not valid YAML"),
        ("", (), "expected a mapping"),
        ("steps: 5", ("data.shapes=[[384,288]",), "data.shapes=[[384,288]: not valid YAML"),
        ("steps: 5", ("steps.many=1",), "steps={'many': 1}: expected a valid integer, got dict"),
        ("batch_size: 0", (), "batch_size=0: expected at least 1"),
        ("batch_size: 1", (), "batch_size=1: batch normalisation needs 2 or more"),
        ("data: {given_share: 7}", (), "data.given_share=7.0: expected from 0 to 1"),
        ("ema_decay: 1", (), "ema_decay=1.0: expected at least 0 and less than 1"),
        ("learning_rate: .nan", (), "learning_rate=nan: expected a number above 0"),
        ("warm_up: -4", (), "warm_up=-4: expected at least 0"),
        ("data: {hair: 1.5}", (), "data.hair=1.5: expected from 0 to 1"),
        ("data: {workers: -1}", (), "data.workers=-1: expected at least 0"),
        ("data: {zoom_photo: [2, 1]}", (), "data.zoom_photo=(2.0, 1.0): expected two ascending numbers above 0"),
        (
            "data: {shapes: [[0, 32]]}",
            (),
            "got [(0, 32)], expected heights and widths divisible by 32",
        ),
        ("data: {seed: -1}", (), "data.seed=-1: expected at least 0"),
        ("data: {mixture: [{weight: 0}]}", (), "weight=0.0: expected a number above 0"),
        ("data: {mixture: [{weight: .nan}]}", (), "weight=nan: expected a number above 0"),
        ("data: {mixture: [{splits: []}]}", (), "splits=(): val is for evaluation"),
        ("data: {mixture: [{splits: ['*']}]}", (), "splits=('*',): val is for evaluation"),
        ("loss: {alpha: .nan}", (), "loss.alpha=nan: expected at least 0"),
        ("loss: {alpha: -3}", (), "loss.alpha=-3.0: expected at least 0"),
        ("trimap_gradient: 2", (), "trimap_gradient=2.0: expected from 0 to 1"),
        ("max_bad_steps: 0", (), "max_bad_steps=0: expected at least 1"),
        ("data: {trimap_max_width: 0}", (), "data.trimap_max_width=0: expected at least 1"),
        ("data: {synthetic_prob: 2}", (), "data.synthetic_prob=2.0: expected from 0 to 1"),
        (
            "data: {scale_given: [0, 1]}",
            (),
            "data.scale_given=(0.0, 1.0): expected two ascending numbers above 0",
        ),
        ("checkpoint_minutes: .nan", (), "checkpoint_minutes=nan: expected at least 0"),
        ("data: {mixture: [{splits: [train, val]}]}", (), "splits=('train', 'val'): val is for evaluation"),
    ],
)
def test_mistakes_are_named(tmp_path, text, overrides, message):
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, text), overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_over_its_base_takes_over_all_but_what_it_changes_and_the_name(tmp_path):
    (tmp_path / "first.yaml").write_text("{name: own, steps: 5, data: {workers: 3, shapes: [[32, 32]]}}")
    (tmp_path / "second.yaml").write_text("{base: first.yaml, data: {shapes: [[96, 96]]}}")
    (tmp_path / "third.yaml").write_text("{base: second.yaml, steps: 7}")
    config = load_config(tmp_path / "third.yaml", ["data.seed=4"])
    assert (config.name, config.steps, config.data.workers, config.data.seed) == ("third", 7, 3, 4)
    assert config.data.shapes == ((96, 96),)
    assert load_config(tmp_path / "second.yaml").steps == 5


def test_a_models_name_stands_for_its_sizes(tmp_path):
    (tmp_path / "first.yaml").write_text("model: base")
    path = tmp_path / "second.yaml"
    path.write_text("{base: first.yaml, model: {saturation: 0.3}}")
    assert load_config(path).model == dataclasses.replace(MODELS["base"], saturation=0.3)
    assert load_config(path, ["model=lite", "model.saturation=0.2"]).model == dataclasses.replace(
        MODELS["lite"], saturation=0.2
    )


def test_numbers_as_people_write_them(tmp_path):
    path = write(tmp_path, "{learning_rate: 1e-4, batch_size: 1, freeze_norm: true}")
    assert load_config(path).learning_rate == 1e-4
    assert load_config(path, ["learning_rate=2e-4"]).learning_rate == 2e-4


@pytest.mark.parametrize("folder", ["2024", "my #data", "true", 'a "b"'])
def test_any_name_of_a_folder(tmp_path, folder):
    assert load_config(write(tmp_path, "steps: 5"), _with_root((), folder)).data.root == folder


def test_a_file_that_is_its_own_base_or_has_none_is_named(tmp_path):
    write(tmp_path, "base: run.yaml")
    with pytest.raises(ConfigError, match=r"run\.yaml: refers to itself"):
        load_config(tmp_path / "run.yaml")
    write(tmp_path, "base: none.yaml")
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_config(tmp_path / "run.yaml")


@pytest.mark.parametrize("name", ["../../x", "/x", "a/../b", "..", "a\\b"])
def test_a_run_does_not_leave_its_folder(tmp_path, name):
    with pytest.raises(ConfigError, match="name of a folder"):
        load_config(write(tmp_path, "steps: 5"), [f"name={name}"])


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.yaml")


def test_what_is_no_text_is_named(tmp_path):
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(tmp_path / "run.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
