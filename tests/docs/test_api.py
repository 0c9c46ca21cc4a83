"""The API page has every public name once, each where it can be imported from, each with words about it."""

import importlib
import re
from types import SimpleNamespace

import pytest

import xbarsim
from tests.helpers.docs import ROOT, docs_module

api = docs_module("api")
BLOCK = re.compile(r"^::: (\S+)\.(\w+)$", re.MULTILINE)


def page_of(source):
    return SimpleNamespace(file=SimpleNamespace(src_uri=source))


def built():
    return api.on_page_markdown((ROOT / "docs" / api.PAGE).read_text(), page=page_of(api.PAGE), config={})


def test_every_public_name_is_there_once_and_nothing_else():
    names = [name for _, name in BLOCK.findall(built())]
    assert len(names) == len(set(names)) > 100
    assert set(names) == set(xbarsim.__all__)


@pytest.mark.parametrize(("module", "name"), BLOCK.findall(built()))
def test_every_block_is_what_the_front_door_gives(module, name):
    assert getattr(importlib.import_module(module), name) is getattr(xbarsim, name)


def test_names_stand_below_the_headings_of_their_packages():
    parts = re.split(r"^## (.+)$", built(), flags=re.MULTILINE)
    blocks = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(blocks) == list(api.SECTIONS)
    for heading, name in (
        ("Subjects and chips", "xbarsim.experiments.references.SubjectReference"),
        ("Accelerators", "accel_models.finn.config.FinnConfig"),
        ("Faults", "xbarsim.faults.stuck_cells.StuckCells"),
        ("Measures and campaigns", "xbarsim.experiments.collecting.collect"),
        ("Detectors", "xbarsim.detection.march.detector.MarchDetector"),
        ("Repairs", "xbarsim.repair.retrain.Retrain"),
        ("Training", "xbarsim.torch_bridge.injection.fault_aware"),
        ("Metrics", "xbarsim.metrics.intervals.wilson"),
    ):
        assert f"::: {name}\n" in blocks[heading]


def test_a_name_of_a_package_without_a_heading_is_no_silent_gap():
    with pytest.raises(LookupError, match=r"xbarsim\.faultless: no section"):
        api.sections({"Perfect": "xbarsim.faultless"})


def test_other_pages_stay_as_they_are():
    assert api.on_page_markdown("words", page=page_of("index.md"), config={}) == "words"
