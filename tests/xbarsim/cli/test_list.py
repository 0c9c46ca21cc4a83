"""`xbarsim list` from outside."""

import pytest

from tests.helpers.program import document, run_well
from xbarsim.registry import accelerators, detectors, fault_models, repairs

KINDS = ("networks", "data", "accelerators", "devices", "cells", "faults", "detectors", "repairs")


def test_everything_that_can_be_named_is_listed(capsys):
    found = document(capsys, "list")["results"]
    assert tuple(found) == KINDS
    for kind, registry in (
        ("accelerators", accelerators), ("faults", fault_models), ("detectors", detectors), ("repairs", repairs)
    ):  # fmt: skip
        assert tuple(found[kind]) == registry.names
    assert found["faults"]["stuck-cells"]["fields"] == {"rate": "(needed)", "mix": "measured"}


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_alone(capsys, kind):
    found = document(capsys, "list", kind)["results"]
    assert list(found) == [kind] and found[kind]
    assert len(run_well(capsys, "list", kind).splitlines()) > len(found[kind])


def test_networks_say_whether_they_are_trained(capsys):
    out = run_well(capsys, "list", "networks")
    assert "digits-mlp" in out and "cnv-w1a1-half-fat" in out
