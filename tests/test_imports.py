"""No module imports itself by way of others, neither at its head nor inside a function."""

import ast
from graphlib import CycleError, TopologicalSorter

from tests.helpers.tree import ROOT, project_modules


def imported_by(path, known):
    """Modules of the project that a file imports anywhere but for its type checker."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= names or ({node.module} & known)
    return found


def cycle_of(modules):
    """A circle of modules, by name; empty if there is none."""
    graph = {name: imported_by(path, set(modules)) - {"xbarsim"} for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_import_cycles_lazy_ones_included():
    modules = project_modules()
    assert {"xbarsim.subject", "accel_models.finn.chip", "networks.catalogue"} <= set(modules)
    assert cycle_of(modules) == []


def test_a_cycle_by_an_import_inside_of_a_function_is_found(tmp_path):
    modules = {name: tmp_path / f"{name}.py" for name in ("one", "two", "three")}
    modules["one"].write_text("import two\n")
    modules["two"].write_text("def late():\n    from one import anything\n")
    modules["three"].write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import one\n")
    assert sorted(set(cycle_of(modules))) == ["one", "two"]
    modules["two"].write_text("import three\n")
    assert cycle_of(modules) == []


def test_every_module_has_its_test_file():
    missing = []
    for name, path in project_modules().items():
        if path.name == "__init__.py" or not path.read_text().strip():
            continue
        place = path.relative_to(ROOT)
        if not (ROOT / "tests" / place.parent / f"test_{place.name}").exists():
            missing.append(name)
    assert not missing, f"{len(missing)} modules: {', '.join(missing)}"
