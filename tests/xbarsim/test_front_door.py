"""`import xbarsim as xb`: every name is there, quickly, and the pages need no other import."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import xbarsim as xb

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OURS = ("xbarsim", "accel_models", "networks", "tests")


def foreign_imports(text):
    """The imports of a Python text that bring something of the project, but for `xbarsim as xb`."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [(alias.name, alias.asname) for alias in node.names]
            found += [
                f"import {name}" for name, own in names if _ours(name) and (name, own) != ("xbarsim", "xb")
            ]
        elif isinstance(node, ast.ImportFrom) and (node.level or _ours(node.module or "")):
            found.append(f"from {'.' * node.level}{node.module or ''}")
    return found


def _ours(name):
    return name.partition(".")[0] in OURS


def test_foreign_imports_are_found_wherever_they_stand():
    text = "import numpy as np\nimport xbarsim as xb\nfrom torch import nn\n"
    assert foreign_imports(text) == []
    text += "import xbarsim\nimport xbarsim.rng\n"
    text += "def f():\n    from networks.zoo import zoo\n    from . import a\n"
    assert foreign_imports(text) == ["import xbarsim", "import xbarsim.rng", "from networks.zoo", "from ."]


@pytest.mark.parametrize("name", xb.__all__)
def test_every_name_is_the_object_of_its_module(name):
    found = getattr(xb, name)
    assert found is getattr(importlib.import_module(xb._NAMES[name]), name)
    assert name in dir(xb)


def test_names_stand_once_and_others_are_refused():
    names = " ".join(xb._HOMES.values()).split()
    assert len(names) == len(set(names)) == len(xb.__all__)
    with pytest.raises(AttributeError, match="module 'xbarsim' has no attribute 'nothing'"):
        xb.nothing  # noqa: B018


def test_the_type_stub_has_the_same_names_from_the_same_places():
    tree = ast.parse((ROOT / "xbarsim" / "__init__.pyi").read_text())
    found = {
        alias.asname: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert found == {name: (module, name) for name, module in xb._NAMES.items()}


def test_the_import_loads_nothing_slow():
    code = "import sys; before = set(sys.modules); import xbarsim as xb; dir(xb); "
    code += (
        "print({'torch', 'numba', 'numpy', 'pandas', 'scipy', 'matplotlib'} & (set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_import_the_front_door_alone(page):
    snippets = SNIPPET.findall(page.read_text())
    assert [found for text in snippets for found in foreign_imports(text)] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_examples_import_the_front_door_alone(example):
    assert foreign_imports(example.read_text()) == []
