"""Configurations from plain data and back."""

import dataclasses
import json
import math
from dataclasses import field

import pytest

from jointmat.config import MODELS, ModelConfig, configuration, from_mapping, to_mapping
from jointmat.errors import ConfigError


@configuration
class Inner:
    rate: float = 0.5
    names: list[str] = field(default_factory=list)


@configuration
class Outer:
    inner: Inner = field(default_factory=Inner)
    weights: dict[str, float] = field(default_factory=dict)
    pair: tuple[int, int] = (1, 2)
    limit: int | None = 3
    flag: bool = False


def message(values, cls=ModelConfig):
    with pytest.raises(ConfigError) as error:
        from_mapping(cls, values)
    assert isinstance(error.value, ValueError)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", MODELS)
def test_round_trip(name):
    plain = to_mapping(MODELS[name])
    assert from_mapping(ModelConfig, plain) == MODELS[name]
    assert from_mapping(ModelConfig, json.loads(json.dumps(plain))) == MODELS[name]


def test_nested_round_trip():
    outer = Outer(Inner(0.25, ["a"]), {"x": 1.0}, (3, 4), None, True)
    assert from_mapping(Outer, json.loads(json.dumps(to_mapping(outer)))) == outer


def test_defaults_fill_what_is_not_given():
    assert from_mapping(ModelConfig, {}) == ModelConfig()
    assert from_mapping(Outer, {"inner": {"rate": 2}}) == Outer(Inner(2.0))


def test_values_take_the_annotated_type():
    config = from_mapping(ModelConfig, {"temperature": 12, "radii": [1, 4], "mean": [0, 0.5, 1]})
    assert config.temperature == 12.0
    assert isinstance(config.temperature, float)
    assert config.radii == (1, 4)
    assert config.mean == (0.0, 0.5, 1.0)


def test_configurations_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig().temperature = 3.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"encodr": "resnet34"}, "unknown key encodr: did you mean encoder?"),
        ({"max_query": 3}, "unknown key max_query: did you mean max_queries?"),
    ],
)
def test_an_unknown_key_names_the_nearest(values, expected):
    assert message(values) == expected


def test_an_unknown_key_without_a_near_one_lists_all():
    assert message({"zzz": 1}, Inner) == "unknown key zzz: known keys: rate, names"


def test_a_nested_unknown_key_says_where():
    assert message({"inner": {"rats": 1}}, Outer) == "unknown key inner.rats: did you mean inner.rate?"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"encoder": 34}, "encoder=34: expected a valid string, got int"),
        ({"temperature": "hot"}, "temperature='hot': expected a valid number, got str"),
        ({"temperature": True}, "temperature=True: expected a valid number, got bool"),
        ({"aspp_channels": 64.0}, "aspp_channels=64.0: expected a valid integer, got float"),
        ({"aspp_channels": True}, "aspp_channels=True: expected a valid integer, got bool"),
        ({"aspp_channels": None}, "aspp_channels=None: expected a valid integer, got NoneType"),
        ({"max_queries": "all"}, "max_queries='all': expected a valid integer, got str"),
        ({"radii": [1, "2"]}, "radii[1]='2': expected a valid integer, got str"),
        ({"mean": [0.5, 0.5]}, "mean[2]: missing"),
    ],
)
def test_a_wrong_type_says_what_was_expected(values, expected):
    assert message(values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"inner": {"rate": "x"}}, "inner.rate='x': expected a valid number, got str"),
        ({"inner": {"names": [1]}}, "inner.names[0]=1: expected a valid string, got int"),
        ({"inner": 3}, "inner=3: expected an object, got int"),
        ({"weights": {"x": "y"}}, "weights.x='y': expected a valid number, got str"),
        ({"flag": 1}, "flag=1: expected a valid boolean, got int"),
    ],
)
def test_a_wrong_nested_type_says_where(values, expected):
    assert message(values, Outer) == expected


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ({"radii": 5}, "radii=5: expected a valid array"),
        ({"radii": "12"}, "radii='12': expected a valid array"),
        ({"mean": None}, "mean=None: expected a valid array"),
        ({"radii": []}, "radii=(): expected ascending"),
        ({1: "x"}, "unknown key 1: "),
        (["encoder"], "configuration: expected keys and values, got list"),
    ],
)
def test_a_scalar_for_a_list_and_other_shapes(values, start):
    assert message(values).startswith(start)


@pytest.mark.parametrize("radii", [(2, 1), (1, 1, 2), (0, 1), (-1, 3)])
def test_radii_ascend_from_1_up(radii):
    assert f"radii={radii}: expected ascending whole numbers from 1 up" in message({"radii": list(radii)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unet_channels": ()}, r"unet_channels=\(\): expected at least 1"),
        ({"decoder_channels": (0, 16, 16)}, "decoder_channels=.*: expected at least 1"),
        ({"aspp_channels": -4}, "aspp_channels=-4: expected at least 1"),
        ({"max_queries": 0}, "max_queries=0: expected at least 1"),
        ({"unet_channels": (64, 48)}, r"unet_channels=\(64, 48\): expected 4 to 5 stages, number 4 is at 1/4"),
        ({"encoder_scale": 3}, "encoder_scale=3: expected 1 or 2"),
        ({"saturation": 0.5}, "saturation=0.5: expected at least 0 and less than 0.5"),
        ({"aspp_dropout": 1.0}, "aspp_dropout=1.0: expected at least 0 and less than 1"),
        ({"band": 9.0}, "band=9.0: expected more than 0 and at most 8"),
        ({"key_channels": -1}, "key_channels=-1: expected at least 0"),
        ({"kernel": 4}, "kernel=4: expected an odd number"),
        ({"std": (0.2, 0.0, 0.2)}, "std=.*no std of 0"),
        ({"std": (0.2, math.nan, 0.2)}, "std=.*expected numbers"),
        ({"mean": (0.2, math.inf, 0.2)}, "mean=.*expected numbers"),
    ],
)
def test_sizes_that_make_no_network_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**change)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), 100.0])
def test_temperature_is_positive_and_its_exponential_fits_in_float32(temperature):
    assert message({"temperature": temperature}).startswith(f"temperature={temperature}: expected ")
