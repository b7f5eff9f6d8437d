"""The package as a namespace, as an installation and as a distribution."""

import importlib.metadata
import io
import json
import re
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import jointmat
from jointmat import errors

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
WHEEL = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(jointmat, "nothing")
    with pytest.raises(AttributeError, match="module 'jointmat' has no attribute 'nothing'"):
        _ = jointmat.nothing


def test_every_error_has_one_base_and_the_builtin_that_fits():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, (jointmat.JointmatError, UserWarning)) for kind in kinds)
    assert issubclass(errors.ImageError, ValueError) and issubclass(errors.InputTypeError, TypeError)
    assert issubclass(errors.DependencyError, ImportError)


def test_a_checkout_installs_extras_from_itself(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert errors.pip_install("video") == f"pip install -e '{ROOT}[video]'"
    monkeypatch.chdir(ROOT)
    assert errors.pip_install("video") == "pip install -e '.[video]'"


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, "jointmat[video]"),
        (
            {"url": "file:///wheels/jointmat.whl", "archive_info": {}},
            "jointmat[video] @ file:///wheels/jointmat.whl",
        ),
        ({"url": "https://host/x", "vcs_info": {"vcs": "git"}}, "jointmat[video] @ git+https://host/x"),
    ],
)
def test_an_installation_installs_extras_from_where_it_came(monkeypatch, tmp_path, origin, expected):
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "jointmat" / "errors.py"))
    found = SimpleNamespace(read_text=lambda _: None if origin is None else json.dumps(origin))
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: found)
    assert errors.pip_install("video") == f"pip install '{expected}'"


def test_every_message_about_an_extra_names_one_that_exists():
    for path in (ROOT / "jointmat").rglob("*.py"):
        for extra in re.findall(r"pip_install\('(\w+)'\)", path.read_text(encoding="utf-8")):
            assert extra in PROJECT["optional-dependencies"], path


OPEN = r"(CC0-1\.0|US public domain|CC-BY|Apache-2\.0|MIT|BSD)"


def test_the_bundled_weights_were_trained_on_open_data_alone():
    card = json.loads((ROOT / "weights" / "lite.json").read_text(encoding="utf-8"))
    notice = (ROOT / "weights" / "NOTICE").read_text(encoding="utf-8")
    assert card["training"]["sources"]
    for source in card["training"]["sources"]:
        assert re.match(OPEN, source["licence"]), source
        assert re.search(rf"(?m)^(.*; )?{re.escape(source['source'])}: ", notice), source


def test_the_licence_covers_code_and_weights():
    card = json.loads((ROOT / "weights" / "lite.json").read_text(encoding="utf-8"))
    assert PROJECT["license"] == "Apache-2.0"
    assert card["licence"]["weights"].startswith("Apache-2.0")
    assert all((ROOT / name).is_file() for name in PROJECT["license-files"])


def test_versions_agree():
    assert PROJECT["version"] == jointmat.__version__
    assert f"version: {jointmat.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {jointmat.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_wheel_has_at_most_20_mb():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in WHEEL["force-include"]:
            archive.write(ROOT / name)
        for path in (ROOT / "jointmat").rglob("*"):
            if path.suffix != ".pyc":
                archive.write(path)
    assert content.tell() < 20e6
