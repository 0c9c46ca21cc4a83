"""Writes the sections of the API page, from the names of the front door; a hook of mkdocs."""

from collections.abc import Mapping
from typing import Any

import xbarsim

PAGE = "api.md"
# headings, and the packages and modules whose names stand below them
SECTIONS = {
    "Subjects and chips": (
        "xbarsim.errors", "xbarsim.rng", "xbarsim.chip", "xbarsim.data", "xbarsim.registry", "xbarsim.graph",
        "xbarsim.programs", "xbarsim.subject", "xbarsim.experiments.references", "networks",
    ),
    "Accelerators": ("accel_models", "xbarsim.crossbar", "xbarsim.cells"),
    "Faults": ("xbarsim.faults",),
    "Measures and campaigns": ("xbarsim.campaigns", "xbarsim.experiments", "xbarsim.report"),
    "Detectors": ("xbarsim.detection",),
    "Repairs": ("xbarsim.repair",),
    "Training": ("xbarsim.training", "xbarsim.torch_bridge"),
    "Metrics": ("xbarsim.metrics",),
}  # fmt: skip


def front_door() -> dict[str, str]:
    """Return the public names, each with the module that it is imported from, in their order."""
    return {name: module for module, names in xbarsim._HOMES.items() for name in names.split()}


def heading_of(module: str) -> str:
    """Return the heading of a module's names: that of the longest package that holds it.

    Raises
    ------
    LookupError : no heading has such a package.
    """
    fits = {
        package: heading
        for heading, packages in SECTIONS.items()
        for package in packages
        if f"{module}.".startswith(f"{package}.")
    }
    if not fits:
        raise LookupError(f"{module}: no section of {__file__} has a package that holds it")
    return fits[max(fits, key=len)]


def sections(names: Mapping[str, str]) -> str:
    """Return Markdown with a block of mkdocstrings for every name, below its heading."""
    blocks: dict[str, list[str]] = {heading: [] for heading in SECTIONS}
    for name, module in names.items():
        blocks[heading_of(module)].append(f"::: {module}.{name}\n")
    return "\n".join("\n".join([f"## {heading}\n", *found]) for heading, found in blocks.items() if found)


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Add the sections to the page; mkdocs calls this for every page."""
    return f"{markdown}\n{sections(front_door())}" if page.file.src_uri == PAGE else markdown
