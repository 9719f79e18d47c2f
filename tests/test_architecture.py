"""What holds for the whole package: abstract or final classes, one-way imports, a light start, docstrings."""

import ast
import functools
import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import pytest

import artifex

PACKAGE = Path(artifex.__file__).parent
ROOT = Path(__file__).parent.parent
FILES = sorted(PACKAGE.rglob("*.py"))
IMPORTABLE = [path for path in FILES if path.name != "__main__.py"]  # importing that one runs the program
LONGEST_FILE = 400
# Importing artifex, or its configs, must load none of these.
HEAVY = ("jax", "equinox", "optax", "distrax", "matplotlib", "sklearn", "orbax", "grain", "tyro", "pydantic")


def module_name(path: Path) -> str:
    """Importable name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def where(path: Path, node: ast.AST | None = None) -> str:
    """Place in the source, as an editor understands it."""
    line = f":{node.lineno}" if node is not None else ""
    return f"{path.relative_to(PACKAGE.parent)}{line}"


@functools.cache
def parse(path: Path) -> ast.Module:
    """Syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def module_classes() -> list[type]:
    """Every Equinox module class that the package defines."""
    classes = {}
    for path in IMPORTABLE:
        module = importlib.import_module(module_name(path))
        for value in vars(module).values():
            is_module = isinstance(value, type) and issubclass(value, eqx.Module)
            if is_module and value.__module__ == module.__name__:
                classes[f"{value.__module__}.{value.__qualname__}"] = value
    return list(classes.values())


def abstract_members(cls: type) -> frozenset[str]:
    """Methods and fields that a class leaves to others."""
    return cls.__abstractmethods__ | cls.__abstractvars__ | cls.__abstractclassvars__


def is_named_abstract(cls: type) -> bool:
    """Whether the name says that the class is abstract."""
    return cls.__name__.lstrip("_").startswith("Abstract")


def overridden(cls: type) -> Iterator[str]:
    """Concrete methods of the package's bases that `cls` replaces."""
    bases = [base for base in cls.__mro__[1:] if base in module_classes()]
    for name, value in vars(cls).items():
        is_method = callable(value) or isinstance(value, property | classmethod | staticmethod)
        if not is_method or (name.startswith("__") and name != "__call__"):
            continue
        for base in bases:
            if name in vars(base) and name not in base.__abstractmethods__:
                yield f"{cls.__module__}.{cls.__name__}.{name} replaces the one of {base.__name__}"


# Classes


def test_a_class_is_abstract_or_final():
    """Named `Abstract...` and leaving something open, or complete and without subclasses."""
    wrong = []
    for cls in module_classes():
        name = f"{cls.__module__}.{cls.__name__}"
        if is_named_abstract(cls) and not abstract_members(cls):
            wrong.append(f"{name} is named abstract, but leaves nothing open")
        if not is_named_abstract(cls) and abstract_members(cls):
            wrong.append(f"{name} leaves {sorted(abstract_members(cls))} open: name it `Abstract...`")
        wrong += [
            f"{name} is concrete, so {base.__name__} below it may not be a base: compose"
            for base in cls.__mro__[1:]
            if base in module_classes() and not is_named_abstract(base)
        ]
    assert wrong == []


def test_no_concrete_method_is_replaced():
    """What a reader sees in a base class is what runs."""
    assert [line for cls in module_classes() for line in overridden(cls)] == []


def test_the_class_rules_can_fail():
    """The checks above see a class that breaks the rule."""

    class Base(eqx.Module):
        def f(self) -> int:
            return 1

    class Derived(Base):
        def f(self) -> int:
            return 2

    module_classes().append(Base)
    try:
        assert list(overridden(Derived)) == [f"{__name__}.Derived.f replaces the one of Base"]
    finally:
        module_classes().remove(Base)


# Source


def test_no_assert_statements():
    """`python -O` removes them, and their messages help nobody."""
    nodes = [(path, node) for path in FILES for node in ast.walk(parse(path))]
    found = [where(path, node) for path, node in nodes if isinstance(node, ast.Assert)]
    assert found == []


def test_no_fixed_keys():
    """Randomness comes from the caller: no `jax.random.key(0)` in the library."""
    found = [
        where(path, node)
        for path in FILES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("key", "PRNGKey")
        and ast.unparse(node.func.value).endswith(("random", "jr"))
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]
    assert found == []


def test_files_are_short():
    """A long file holds two ideas."""
    lengths = {where(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_every_folder_is_a_package():
    """A folder without `__init__.py` would be left out of the wheel's documentation and imports."""
    folders = {path.parent for path in FILES}
    assert [where(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_postponed_annotations():
    """Run-time type checks of the suite must see real types."""
    found = [
        where(path, node)
        for path in FILES
        for node in parse(path).body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    assert found == []


# Documentation


def has_docstring(owner: Any, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Whether a definition has a docstring, its own or, for a method, that of the method it fills in."""
    if ast.get_docstring(node):
        return True
    return isinstance(owner, type) and any(
        getattr(vars(base).get(node.name), "__doc__", None) for base in owner.__mro__[1:]
    )


def undocumented(path: Path) -> Iterator[str]:
    """Public names of a file without a docstring."""
    tree = parse(path)
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    if not ast.get_docstring(tree):
        yield f"{where(path)}: the module"
    module = importlib.import_module(module_name(path))
    for node in tree.body:
        if not isinstance(node, definitions) or node.name.startswith("_"):
            continue
        if not has_docstring(None, node):
            yield f"{where(path, node)}: {node.name}"
        for member in node.body if isinstance(node, ast.ClassDef) else ():
            is_public = isinstance(member, definitions) and not member.name.startswith("_")
            if is_public and not has_docstring(getattr(module, node.name), member):
                yield f"{where(path, member)}: {node.name}.{member.name}"


def test_public_names_have_docstrings():
    """Modules, classes, functions and methods whose names do not begin with an underscore."""
    assert [line for path in IMPORTABLE for line in undocumented(path)] == []


# Imports


def test_import_contracts():
    """Layers and independent families, as pyproject.toml states them."""
    program = Path(sys.executable).parent / "lint-imports"
    if not program.exists():
        pytest.skip("lint-imports is not installed beside this Python")
    result = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def fresh(code: str) -> Any:
    """What `code` assigns to `result`, in a new interpreter."""
    program = f"{code}\nimport json; print(json.dumps(result))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_import_is_light():
    """`import artifex` loads no heavy package and takes less than 0.3 s."""
    code = (
        "import sys, time; start = time.perf_counter(); import artifex; end = time.perf_counter()\n"
        f"result = [end - start, [name for name in {HEAVY!r} if name in sys.modules]]"
    )
    runs = [fresh(code) for _ in range(3)]
    assert runs[0][1] == []
    assert min(seconds for seconds, _ in runs) < 0.3


def test_configs_load_without_jax():
    """Command-line help and validation of a config do not wait for JAX."""
    code = "import sys, artifex.generative_models.core.configuration\nresult = 'jax' in sys.modules"
    assert fresh(code) is False


# The top-level names


def test_every_exported_name_resolves():
    """Each lazily loaded name exists, and is listed."""
    missing = []
    for name in artifex.__all__:
        try:
            getattr(artifex, name)
        except (AttributeError, ImportError) as error:
            missing.append(f"{name}: {error}")
    assert missing == []
    assert set(artifex.__all__) | {"__version__"} <= set(dir(artifex))


def test_static_and_lazy_names_agree():
    """A type checker sees the names that the run time loads, from the same places."""
    block = next(node for node in parse(PACKAGE / "__init__.py").body if isinstance(node, ast.If))
    static = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    lazy = {name: f"{module}.{name}" for name, module in artifex._SOURCES.items()} | artifex._MODULES
    assert static == lazy
    assert sorted(static) == artifex.__all__


def test_unknown_top_level_name():
    """A misspelt name is answered with the nearest one."""
    with pytest.raises(AttributeError, match="Did you mean 'create_model'"):
        artifex.create_modle  # noqa: B018


def test_version():
    """The version is that of the installed distribution."""
    assert artifex.__version__.count(".") == 2


def test_package_is_marked_as_typed():
    """Type checkers read the annotations of an installed artifex."""
    assert (PACKAGE / "py.typed").exists()


def test_shell_scripts_parse():
    """The script that continuous integration runs is valid bash."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash on this machine")
    subprocess.run([bash, "-n", ROOT / ".ci" / "run"], check=True)
