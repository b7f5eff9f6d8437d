import pytest

from jointmat.config import MODELS
from jointmat.errors import ConfigError
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
        ("steps: many", (), "steps='many': expected int, got str"),
        ("steps: 5", ("steps",), "expected key=value"),
        ("steps: 5", ("loss.alhpa=1",), "did you mean loss.alpha?"),
        ("model: huge", (), "expected one of lite, base"),
        ("- 5", (), "expected a mapping"),
        ("a: [", (), "not valid YAML"),
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


def test_a_file_that_is_its_own_base_or_has_none_is_named(tmp_path):
    write(tmp_path, "base: run.yaml")
    with pytest.raises(ConfigError, match=r"run\.yaml: is its own base"):
        load_config(tmp_path / "run.yaml")
    write(tmp_path, "base: none.yaml")
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_config(tmp_path / "run.yaml")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.yaml")


def test_what_is_no_text_is_named(tmp_path):
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(tmp_path / "run.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
