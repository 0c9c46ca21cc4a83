"""Faults of one class cannot be told apart: every collapsed list gives the results of the whole one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.equivalence import collapse, saved_by_kind
from tests.helpers.finn_networks import small_network
from xbarsim.faults.pe import PeFaultKind

KINDS = list(PeFaultKind)


def assert_expands(design, faults, rng):
    images = rng.integers(0, 256, (6, *design.network.image), dtype=np.uint8)
    labels = rng.integers(0, 10, len(images))
    classes = collapse(design, faults)
    whole = simulate_faults(design, faults, images, labels)
    found = classes.expand(simulate_faults(design, classes.representatives, images, labels))
    for name in ("hits", "flips", "masked"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), err_msg=name)
    return classes


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 3), st.booleans(), st.booleans())
def test_classes_give_the_results_of_the_whole_list(seed, weight_bits, activation_bits, inclusive, loopback):
    rng = np.random.default_rng(seed)
    network = small_network(rng, weight_bits, activation_bits, inclusive=inclusive)
    design = FinnConfig(loopback=(5, 7) if loopback else None).program(network)
    faults = design.fault_list(KINDS).sample(400, rng)
    struck = faults.take(np.arange(0, 400, 5)).struck(rng.integers(0, 6, 80))
    for some in (faults, struck):
        assert_expands(design, some, rng)


def test_what_is_recognised_is_saved():
    rng = np.random.default_rng(8)
    network = small_network(rng)
    wide = [dataclasses.replace(m, threshold_bits=16) for m in network.layers]
    design = FinnConfig().program(dataclasses.replace(network, layers=tuple(wide)))
    classes = assert_expands(design, design.fault_list([PeFaultKind.threshold, PeFaultKind.weight]), rng)
    found = saved_by_kind(classes)
    for faults, without_effect, kept in found.values():
        # every bit holds one of its two values already
        assert without_effect >= faults // 2
        assert without_effect + kept <= faults
    assert classes.saved == len(classes.faults) - len(classes.representatives)
    assert found["threshold"][1] + found["threshold"][2] < found["threshold"][0]


def test_stuck_threshold_out_of_reach_becomes_a_stuck_channel():
    design = FinnConfig().program(small_network(np.random.default_rng(9)))
    top = design.geometry.layers[1].threshold_bits - 2
    faults = design.fault_list([PeFaultKind.threshold], [1])
    faults = faults.where(bit=top, value=1).take(np.arange(1))
    found = collapse(design, faults).representatives
    assert [f.kind for f in found] == [PeFaultKind.channel]


@pytest.mark.parametrize("kind", [PeFaultKind.channel, PeFaultKind.pe, PeFaultKind.lane, PeFaultKind.pixel])
def test_faults_that_always_matter_are_their_own_class(kind):
    design = FinnConfig().program(small_network(np.random.default_rng(10)))
    faults = design.fault_list([kind])
    assert len(collapse(design, faults).representatives) == len(faults)
