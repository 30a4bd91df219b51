"""The floors of the design, read from the imports; what an import loads; what is public."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import edgeml
from tests.support.processes import repository

# Highest first. Folders of one floor do not import each other, and none imports from a higher one.
FLOORS = [
    {"cli"},
    {"pipeline", "reporting", "exporters", "serving", "batch", "demo"},
    {"measurement", "monitoring"},
    {"converters", "runtimes", "sources", "trainers", "package", "evaluation", "trust"},
    {"quantization", "preprocessing"},
    {"graph"},
    {"core"},
]
HEAVY = {
    "ai_edge_litert",
    "google",
    "h5py",
    "jax",
    "jinja2",
    "joblib",
    "keras",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "pandas",
    "scipy",
    "skl2onnx",
    "sklearn",
    "skops",
    "tensorflow",
    "tf2onnx",
    "tf_keras",
    "tflite_micro",
    "tflite_runtime",
    "torch",
    "vl_convert",
}
BASE = {"numpy", "msgspec", "click", "rich"}
LINKED = {"converters", "runtimes"}
PUBLIC = [
    "RECIPES", "ConversionError", "EdgemlError", "Goal", "InputError", "IsolationError", "MissingDependencyError",
    "Package", "PackageError", "ResourceError", "Session", "StorageError", "TargetError", "UnsupportedModelError",
    "VerificationError", "__version__", "bench", "build", "diff", "load", "open_package", "report", "targets", "train",
]  # fmt: skip


@dataclass(frozen=True)
class Module:
    """A source file of the project."""

    name: str
    path: Path

    @property
    def folder(self) -> str:
        """The part of the project that it belongs to; empty for those at the top."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 and (repository() / "edgeml" / parts[1]).is_dir() else ""

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    def __str__(self) -> str:
        return self.name


def modules() -> Iterator[Module]:
    root = repository() / "edgeml"
    folders = [root, *(path for path in sorted(root.iterdir()) if path.is_dir() and path.name != "__pycache__")]
    for folder in folders:
        for path in sorted(folder.glob("*.py") if folder == root else folder.rglob("*.py")):
            parts = ["edgeml", *path.relative_to(root).with_suffix("").parts]
            yield Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path)


MODULES = list(modules())
NAMES = {module.name for module in MODULES}


@dataclass(frozen=True)
class Import:
    """One module that is imported.

    Attributes:
        target: Its absolute name.
        relative: Whether it was written with leading dots.
        inside: Whether the statement is in a function.
        typing: Whether it is for type checkers alone.
    """

    target: str
    relative: bool
    inside: bool
    typing: bool


@cache
def imports(module: Module) -> tuple[Import, ...]:
    def visit(node: ast.AST, *, inside: bool, typing: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            within = inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            checked = typing or (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING")
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, relative=False, inside=within, typing=checked)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    package = module.name.split(".")
                    if module.path.name != "__init__.py":
                        package = package[:-1]
                    package = package[: len(package) - child.level + 1]
                    base = ".".join([*package, *([base] if base else [])])
                for alias in child.names:
                    submodule = f"{base}.{alias.name}"
                    target = submodule if submodule in NAMES else base
                    yield Import(target, relative=bool(child.level), inside=within, typing=checked)
            else:
                yield from visit(child, inside=within, typing=checked)

    return tuple(visit(module.tree, inside=False, typing=False))


def floor_of(folder: str) -> int:
    (floor,) = [i for i, names in enumerate(FLOORS) if folder in names]
    return floor


def in_child(code: str, *, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd or repository(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_folder_has_a_floor() -> None:
    assert len(MODULES) > 40
    assert {module.folder for module in MODULES} - {""} <= set().union(*FLOORS)
    assert {"core", "package", "converters", "runtimes", "pipeline"} <= {module.folder for module in MODULES}


@pytest.mark.slow
@pytest.mark.parametrize("module", [module for module in MODULES if module.folder], ids=str)
def test_imports_go_downwards(module: Module) -> None:
    wrong = []
    for found in imports(module):
        top, _, rest = found.target.partition(".")
        if top != "edgeml":
            assert top not in LINKED, f"{found.target} is imported as edgeml.{top} only"
            continue
        folder = rest.partition(".")[0]
        if folder == module.folder or folder in {"", "_version"}:
            continue
        if floor_of(folder) <= floor_of(module.folder):
            wrong.append(found.target)
    assert not wrong


@pytest.mark.parametrize("module", [module for module in MODULES if module.folder not in {"", "cli"}], ids=str)
def test_nothing_imports_the_top(module: Module) -> None:
    assert not [found.target for found in imports(module) if found.target == "edgeml"]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_converters_and_runtimes_are_found_by_the_registry_alone(module: Module) -> None:
    allowed = {module.folder} if module.folder in LINKED else set()
    for found in imports(module):
        parts = found.target.split(".")
        if parts[0] == "edgeml" and len(parts) > 1 and parts[1] in LINKED:
            assert parts[1] in allowed, found.target


@pytest.mark.parametrize("module", [module for module in MODULES if module.folder], ids=str)
def test_siblings_are_imported_relatively_behind_the_links_alone(module: Module) -> None:
    for found in imports(module):
        if found.target.startswith(f"edgeml.{module.folder}."):
            assert found.relative == (module.folder in LINKED), found.target
        else:
            assert not found.relative, found.target


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_heavy_imports_are_inside_functions(module: Module) -> None:
    outside = {found.target.partition(".")[0] for found in imports(module) if not found.inside and not found.typing}
    assert outside <= BASE | set(sys.stdlib_module_names) | {"edgeml"}


# Readers of model files, inside functions: the schema of TFLite as LiteRT or TensorFlow ships it, and onnx's.
READERS = {"ai_edge_litert", "onnx", "tensorflow"}


def test_core_needs_numpy_and_msgspec_alone() -> None:
    for module in MODULES:
        if module.folder == "core":
            used = {found.target.partition(".")[0] for found in imports(module)} - set(sys.stdlib_module_names)
            readers = READERS if module.name.startswith("edgeml.core.formats.") else set()
            assert used <= {"edgeml", "numpy", "msgspec"} | readers, module


def cycles(edges: Mapping[str, set[str]]) -> list[set[str]]:
    """Groups of modules that import each other, round about: strongly connected components (Tarjan, 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        stack.append(name)
        for target in sorted(edges[name]):
            if target not in number:
                visit(target)
                lowest[name] = min(lowest[name], lowest[target])
            elif target in stack:
                lowest[name] = min(lowest[name], number[target])
        if lowest[name] == number[name]:
            group = set(stack[stack.index(name) :])
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(group)

    for name in edges:
        if name not in number:
            visit(name)
    return found


def test_no_modules_import_each_other() -> None:
    """Imports inside functions and for types count too. A package stands for its ``__init__``."""
    edges = {module.name: {found.target for found in imports(module)} & NAMES - {module.name} for module in MODULES}
    assert sum(map(len, edges.values())) > len(MODULES)
    assert cycles(edges) == []
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [{"b", "c"}]


@pytest.mark.parametrize("module", [module for module in MODULES if module.path.name == "__init__.py"], ids=str)
def test_no_public_name_is_a_subpackage(module: Module) -> None:
    """Else importing the one would replace the other."""
    folder = repository() / Path(*module.name.split("."))
    subpackages = {path.name for path in folder.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert not subpackages & set(public_names(module) or [])


# Modules that share a name, by what both stand for. A new one takes a name of its own, or a reason here.
SHARED_NAMES = {
    "to_onnx": "a route of each framework",
    "to_tflite": "a route of each framework",
    "to_function": "a route of each framework",
    "from_file": "a route of each format",
    "keras": "the framework, as a source and as what is converted",
    "sklearn": "the framework, as a source and as what is converted",
    "tflite": "the format, as it is read and as what is converted",
    "preprocessing": "the values in core, and the folder that applies them",
    "session": "the protocol in core, and the folder that has it",
    "engines": "the table's entries in core, and the folder that holds the adapters",
    "package": "the folder, and the class that it is about",
    "build": "the command, and what it calls",
    "train": "the command, and what it calls",
    "verify": "the command, and what it calls",
    "diff": "the command, and what it calls",
    "explain": "the command, and what it calls",
    "bench": "the command, and what it calls",
    "targets": "the command, and what it calls",
    "demo": "the command, and its data and models",
    "image": "an input, and a report as a picture",
    "calibration": "a figure, and its section of a report",
    "residuals": "a figure, and its section of a report",
    "evidence": "a record, its reader, its comparison, and its section of a report",
    "latency": "a figure, and its section of a report",
    "devices": "what measures on them, and their section of a report",
    "machine": "its description for packages, for results, and its section of a report",
    "metrics": "a task's metrics of an artifact, and of a trained model",
}


def test_modules_that_share_a_name_have_a_reason() -> None:
    count = Counter(module.name.rpartition(".")[2] for module in MODULES if module.name != "edgeml")
    assert {name for name, times in count.items() if times > 1} == set(SHARED_NAMES)


LOADED = "import json, sys; {code}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"


def test_importing_edgeml_loads_next_to_nothing() -> None:
    loaded = set(json.loads(in_child(LOADED.format(code="import edgeml"))))
    assert "edgeml" in loaded
    assert not loaded & (HEAVY | BASE - {"numpy"})


def test_using_a_name_of_edgeml_loads_no_framework_and_no_engine() -> None:
    code = "import edgeml; [getattr(edgeml, name) for name in edgeml.__all__]"
    loaded = set(json.loads(in_child(LOADED.format(code=code))))
    assert {"numpy", "msgspec"} <= loaded
    assert not loaded & HEAVY


def test_importing_every_module_loads_no_framework_and_no_engine() -> None:
    names = [module.name for module in MODULES if not module.name.endswith("__main__")]
    code = f"import importlib; [importlib.import_module(name) for name in {names!r}]"
    loaded = set(json.loads(in_child(LOADED.format(code=code))))
    assert not loaded & HEAVY


def test_opening_and_checking_a_package_loads_no_framework_and_no_engine() -> None:
    code = "import edgeml; edgeml.open_package('tests/data/format1.edgeml').read('artifacts/onnx-fp32.onnx')"
    assert not set(json.loads(in_child(LOADED.format(code=code)))) & HEAVY


NAME = re.compile(r"(?<![\w./-])edgeml(?:\.[A-Za-z_]\w*)+")
ENTRY_POINTS = "edgeml.engines"


@pytest.mark.parametrize("pattern", ["benchmarks/*.py", "examples/*.py", "README.md", "CONTRIBUTING.md", ".ci/run"])
def test_names_of_modules_outside_of_them_exist(pattern: str) -> None:
    """Also those in strings, as for scripts that run elsewhere."""
    paths = sorted(repository().glob(pattern))
    assert paths
    for path in paths:
        for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.suffix == ".py" else ():
            if isinstance(statement, ast.ImportFrom) and str(statement.module).partition(".")[0] == "edgeml":
                module = importlib.import_module(str(statement.module))
                for alias in statement.names:
                    there = hasattr(module, alias.name) or f"{statement.module}.{alias.name}" in NAMES
                    assert there, f"{path.name}: {statement.module} has no {alias.name}"
        for name in {*NAME.findall(path.read_text(encoding="utf-8"))} - {ENTRY_POINTS}:
            parts = name.split(".")
            known = max(count for count in range(1, len(parts) + 1) if ".".join(parts[:count]) in NAMES)
            module = importlib.import_module(".".join(parts[:known]))
            assert parts[known:] == [] or hasattr(module, parts[known]), f"{path.name}: {name}"


@pytest.mark.parametrize("name", sorted(LINKED))
def test_the_linked_folders_have_one_name(name: str) -> None:
    assert (repository() / "edgeml" / name).is_symlink()
    assert (repository() / "edgeml" / name).resolve() == repository() / name
    code = f"""
try:
    import {name}
except ImportError as error:
    print(error)
import edgeml.{name}
"""
    assert in_child(code).strip() == f"import this package as edgeml.{name}"


def test_what_is_public() -> None:
    assert sorted(edgeml.__all__) == sorted(PUBLIC)
    assert dir(edgeml) == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(edgeml, name) is not None
    with pytest.raises(AttributeError, match="module 'edgeml' has no attribute 'convert'"):
        _ = edgeml.convert


def public_names(module: Module) -> list[str] | None:
    for statement in module.tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(statement.value)
            return names
    return None


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_says_what_is_public_and_documents_it(module: Module) -> None:
    tree = module.tree
    assert ast.get_docstring(tree), "the module has no docstring"
    defined = {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    names = public_names(module)
    if names is None:
        assert module.path.name in {"__init__.py", "__main__.py"}, "the module has no __all__"
        assert not defined
        return
    assert len(set(names)) == len(names)
    for name in set(names) & set(defined):
        node = defined[name]
        assert ast.get_docstring(node), f"{name} has no docstring"
        if isinstance(node, ast.FunctionDef) or "Protocol" in map(ast.unparse, node.bases):
            continue  # a protocol's methods are documented there or where they are implemented
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                held = getattr(getattr(importlib.import_module(module.name), name), method.name)
                assert inspect.getdoc(held), f"{name}.{method.name} has no docstring"  # which may be that of a base


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES, ids=str)
def test_what_is_said_to_be_public_is_there(module: Module) -> None:
    loaded = importlib.import_module(module.name)
    assert [name for name in public_names(module) or [] if not hasattr(loaded, name)] == []
