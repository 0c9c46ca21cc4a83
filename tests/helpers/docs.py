"""The site's own modules, which belong to no package."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def docs_module(name):
    """Run a file of the folder docs and return it as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
