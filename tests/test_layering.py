"""Who may import whom, and what an import costs."""

import ast
import graphlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jointmat

ROOT = Path(__file__).parent.parent
HEAVY = {"numpy", "cv2", "PIL", "onnxruntime", "torch", "timm", "click"}


def run(code):
    """Run code in a new interpreter and return what it prints as JSON."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def imports(folder):
    """(file, imported top-level package) for every import in a folder, those inside of functions included."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                names = [node.module]
            else:
                continue
            for name in names:
                yield path.relative_to(ROOT).as_posix(), name.partition(".")[0]


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("jointmat", {"train", "export", "tests"}),
        ("train", {"export", "tests"}),
        ("export", {"train", "tests"}),
    ],
)
def test_no_folder_imports_upwards(folder, forbidden):
    found = list(imports(folder))
    assert found
    assert [(path, name) for path, name in found if name in forbidden] == []


def test_only_the_command_line_measures_inside_of_the_package():
    allowed = {"jointmat/cli/main.py"}  # `jointmat demo` draws a sheet
    found = set()
    for path in (ROOT / "jointmat").rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if "jointmat.evaluation" in path.read_text(encoding="utf-8") and "jointmat/evaluation/" not in name:
            found.add(name)
    assert found == allowed


def imported_modules(path, known):
    """Of the `known` modules those that a file imports, those inside of functions included, but not for types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in names)


def test_no_module_imports_itself_by_way_of_others():
    paths = [
        path.relative_to(ROOT) for top in ("jointmat", "train", "export") for path in (ROOT / top).rglob("*.py")
    ]
    modules = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): ROOT / path for path in paths}
    graph = {
        name: {other for other in imported_modules(path, modules) if other in modules}
        for name, path in modules.items()
    }
    assert "jointmat.ops.morphology" in graph["jointmat.models.joint"]  # it is read at all
    tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("io", {"errors", "io", "ops", "parallel"}),
        ("ops", {"errors", "ops"}),
        ("models", {"config", "errors", "models", "ops", "weights"}),
        ("baseline/gca", {"baseline", "errors", "models", "weights"}),
        ("runtime", {"build", "errors", "ops", "parallel", "runtime", "weights"}),
    ],
)
def test_what_a_part_of_the_package_stands_on(folder, allowed):
    for path in (ROOT / "jointmat" / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("jointmat."):
                assert node.module.split(".")[1] in allowed, f"{path}: imports {node.module}"


def test_the_package_imports_without_torch():
    modules = [
        "jointmat",
        *(f"jointmat.{name}" for name in ("predictor", "cli.main", "metrics", "foreground", "weights")),
        *("jointmat.baseline.pipeline", "jointmat.evaluation.peers", "jointmat.video"),
    ]
    code = f"""
import importlib, json, sys
sys.modules["torch"] = None
for name in {modules}:
    importlib.import_module(name)
import jointmat
from jointmat.errors import JointmatError
try:
    jointmat.JointMatting
except JointmatError as error:
    print(json.dumps(str(error)))
"""
    assert re.fullmatch(r"jointmat.JointMatting needs torch: pip install .*\[train\]'", run(code))


def test_looking_at_the_package_needs_no_torch():
    code = """
import inspect, json, pydoc, sys
sys.modules["torch"] = None
import jointmat
from jointmat import *
names = [name for name, _ in inspect.getmembers(jointmat)]
text = pydoc.render_doc(jointmat)
print(json.dumps([hasattr(jointmat, "JointMatting"), "JointMatting" in dir(jointmat) + names, "cutout" in text]))
"""
    assert run(code) == [False, False, True]


def test_the_onnx_backend_needs_no_torch():
    code = """
import json, sys
sys.modules["torch"] = None
import jointmat.runtime.onnx
print(json.dumps([name for name in ("timm", "safetensors", "onnx") if name in sys.modules]))
"""
    assert run(code) == []


def test_importing_the_package_loads_nothing_heavy():
    loaded = run("import json, sys, jointmat; print(json.dumps([n.partition('.')[0] for n in sys.modules]))")
    assert HEAVY & set(loaded) == set()


def test_everything_public_can_be_had():
    pytest.importorskip("torch")
    assert set(jointmat.__all__) <= set(dir(jointmat))
    for name in jointmat.__all__:
        assert getattr(jointmat, name).__module__.startswith("jointmat.")


# Modules that no test imports, and the tests that run them: tests/….py.
RUN_BY = {
    "export.settings": "export/test_commands",
    "jointmat.cli.options": "cli/test_predict",
    "jointmat.io.decode": "io/test_image",
    "jointmat.io.source": "io/test_image",
    "jointmat.ops.planes": "test_compositing",
    "jointmat.serve.kept": "serve/test_photos",
    "jointmat.serve.meters": "serve/test_guard",
    "train.preview": "train/test_engine",
    "train.studies.material": "train/studies/test_studies",
}


def test_every_module_has_tests():
    """In a file of its name or its package's name, or in one that imports it."""
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    untested = set()
    for path in (p for top in ("jointmat", "train", "export") for p in (ROOT / top).rglob("[!_]*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        below = ROOT.joinpath("tests", *parts[parts[0] == "jointmat" :])
        own = below.with_name(f"test_{below.name}.py"), below.parent.with_name(f"test_{below.parent.name}.py")
        package, name = ".".join(parts[:-1]), parts[-1]
        importing = rf"(import|from) {package}(\.{name}\b| import [\w, ]*\b{name}\b)"
        if not any(p.is_file() for p in own) and not re.search(importing, tests):
            untested.add(f"{package}.{name}")
    assert untested == set(RUN_BY)
    assert all((ROOT / "tests" / f"{test}.py").is_file() for test in RUN_BY.values())
