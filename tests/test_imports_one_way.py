"""The house rules that a machine can check: imports point one way, nothing unsafe is called, files stay short."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "dmdnet"

# From the highest room to the lowest. Rooms on one floor do not import each other, but for NEIGHBOURS.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("benchmarks",),
    ("engine", "evaluation", "restore", "prepare"),
    ("models",),
    ("archs", "losses", "metrics", "data"),
    ("features",),
    ("ops", "faces", "degradations"),
    (
        "registry",
        "typed",
        "config",
        "errors",
        "weights",
        "images",
        "image_decoding",
        "image_integrity",
        "files",
        "folders",
        "tensor_files",
        "html",
        "environment",
        "wording",
        "basicsr_bridge",
        "__init__",
    ),
)
GROUND = FLOORS[-1]
NEIGHBOURS = {
    ("engine", "evaluation"),  # validation during training
    ("degradations", "ops"),  # degrading a batch on the device
}
# The ground floor has stairs of its own: each of these imports only those after it (and `errors`).
GROUND_ORDER = (
    "config",
    "weights",
    "images",
    "image_decoding",
    "image_integrity",
    "files",
    "tensor_files",
    "basicsr_bridge",
    "registry",
    "typed",
)

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_TEXT = {
    r"yaml\.(load|unsafe_load|full_load|load_all)\(": "yaml is read by dmdnet.config.yaml_reader",
    r"weights_only\s*=\s*False": "weights are loaded with weights_only=True",
    r"shell\s*=\s*True": "no shell",
    r"os\.(system|popen)\(": "no shell",
    r"\bpickle\.(load|loads|dump|dumps|Pickler|Unpickler)\b": "no pickles: they run code",
    r"from pickle import (?!UnpicklingError\b)": "no pickles: they run code",
    r"^\s*(import|from)\s+(dill|cloudpickle|marshal|shelve)\b": "no pickles: they run code",
    r"allow_pickle\s*=\s*True": "no pickles: they run code",
}


def python_files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


SOURCES = [*python_files(PACKAGE, ROOT / "scripts"), ROOT / "train.py", ROOT / "test.py", ROOT / "setup.py"]
TESTS = python_files(ROOT / "tests")
MAX_LINES = 500


def calls(text: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of each module of the project that a file imports, inside functions too."""
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from dmdnet import engine` imports a room, `from dmdnet import __version__` does not
            names = [f"{base}.{item.name}" for item in node.names] if base == "dmdnet" else [base]
        else:
            continue
        for name in names:
            if name == "dmdnet" or name.startswith("dmdnet."):
                yield node.lineno, "dmdnet" if name == "dmdnet.__version__" else name


def floor_of(room: str) -> int:
    return next(index for index, floor in enumerate(FLOORS) if room in floor)


def is_allowed(importer: str, imported: str) -> bool:
    if importer == imported or (importer, imported) in NEIGHBOURS:
        return True
    if importer in GROUND and imported in GROUND:
        if imported in ("errors", "__init__"):
            return True
        order = GROUND_ORDER
        return importer in order and imported in order and order.index(importer) < order.index(imported)
    return floor_of(importer) < floor_of(imported)


def test_every_room_has_a_floor() -> None:
    rooms = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in python_files(PACKAGE)}
    assert rooms <= {room for floor in FLOORS for room in floor}


def test_imports_point_one_way() -> None:
    wrong = [
        f"{label(path)}:{line} imports {module}"
        for path in python_files(PACKAGE)
        for line, module in imported_modules(path)
        if not is_allowed(path.relative_to(PACKAGE).with_suffix("").parts[0], room_of(module))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("cli", "engine", True),
        ("engine", "cli", False),
        ("engine", "evaluation", True),
        ("evaluation", "engine", False),
        ("restore", "evaluation", False),
        ("models", "losses", True),
        ("losses", "models", False),
        ("losses", "archs", False),
        ("data", "faces", True),
        ("faces", "data", False),
        ("config", "registry", True),
        ("registry", "config", False),
        ("registry", "archs", False),
        ("archs", "archs", True),
    ],
)
def test_the_rule_itself(importer: str, imported: str, allowed: bool) -> None:
    assert is_allowed(importer, imported) is allowed


def test_relative_and_nested_imports_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "dmdnet" / "losses" / "example.py"
    path.parent.mkdir(parents=True)
    path.write_text("from ..models import base\nfrom dmdnet import engine\ndef f():\n    import dmdnet.cli.main\n")
    assert [name for _, name in imported_modules(path)] == ["dmdnet.models", "dmdnet.engine", "dmdnet.cli.main"]


def test_nothing_unsafe_is_called() -> None:
    found = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        found += [f"{label(path)}: {why}" for pattern, why in FORBIDDEN_TEXT.items() if re.search(pattern, text, re.M)]
        found += [
            f"{label(path)}:{call.lineno} calls {call.func.id}"
            for call in calls(text)
            if isinstance(call.func, ast.Name) and call.func.id in FORBIDDEN_CALLS
        ]
    assert not found, "\n".join(found)


def test_torch_load_is_called_in_one_place_and_restricted() -> None:
    found = [
        (label(path), [ast.unparse(item.value) for item in call.keywords if item.arg == "weights_only"])
        for path in SOURCES
        for call in calls(path.read_text(encoding="utf-8"))
        if ast.unparse(call.func) == "torch.load"
    ]
    assert found == [("dmdnet/tensor_files.py", ["True"])]


def test_files_of_tests_have_names_of_their_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert not sorted({name for name in names if names.count(name) > 1})  # pytest imports each by its name alone


def test_files_stay_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in [*SOURCES, *TESTS]}
    long = [f"{label(path)} has {length} lines" for path, length in lengths.items() if length > MAX_LINES]
    assert not long, "split by what their parts do: " + ", ".join(long)
