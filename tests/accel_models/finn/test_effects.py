"""Faulty accelerators give what a slow array of PEs gives."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from accel_models.finn.config import FinnConfig
from tests.helpers.finn_cases import (
    CASES,
    FEW,
    SEEDS,
    check_against_twin,
    parametrize_cases,
    parametrize_designs,
    random_design,
    random_images,
    random_network_of,
    some_faults,
    without_contradictions,
)
from tests.helpers.finn_networks import small_network
from tests.twins.finn import run_faulty, run_network
from xbarsim.faults.pe import PeFault, PeFaultKind

pytestmark = pytest.mark.usefixtures("one_thread")


@parametrize_cases
@FEW
@given(seed=SEEDS)
def test_twin_without_faults_is_the_healthy_network(case, seed):
    rng = np.random.default_rng(seed)
    network = random_network_of(case, rng)
    images = random_images(network, 2, rng)
    sums, classes = run_network(network, images)
    scores, found = run_faulty(network, images, [])
    assert found == classes
    if network.layers[-1].thresholds is None:
        assert scores == sums[-1].reshape(2, -1).tolist()


@parametrize_designs
@parametrize_cases
@FEW
@given(seed=SEEDS)
def test_every_single_fault_is_the_twins(case, loopback, seed):
    rng = np.random.default_rng(seed)
    design = random_design(case, rng, loopback)
    images = random_images(design.network, 2, rng)
    for kind in PeFaultKind:
        for fault in some_faults(design, kind, 2, len(images), rng):
            check_against_twin(design, [fault], images)


@parametrize_designs
@parametrize_cases
@FEW
@given(seed=SEEDS)
def test_faults_together_are_the_twins(case, loopback, seed):
    rng = np.random.default_rng(seed)
    design = random_design(case, rng, loopback)
    images = random_images(design.network, 3, rng)
    several = [f for kind in PeFaultKind for f in some_faults(design, kind, 5, len(images), rng)]
    for count in (2, 5, 20):
        chosen = rng.permutation(len(several))[:count]
        check_against_twin(design, without_contradictions(design, [several[i] for i in chosen]), images)


def test_fault_in_a_row_with_a_bias_keeps_the_bias():
    """Agreement is counted from the bias on: a weight bit that is stuck at what it holds changes no score."""
    rng = np.random.default_rng(5)
    network = random_network_of(CASES["w1a1 agreement in layer 0"], rng)
    images, last = random_images(network, 2, rng), network.layers[-1]
    network = replace(network, layers=(*network.layers[:-1], replace(last, bias=np.full(last.rows, 7))))
    held = PeFault(
        kind=PeFaultKind.weight,
        layer=3,
        unit=0,
        word=0,
        bit=0,
        value=int(network.layers[-1].weights[0, 0] > 0),
    )
    check_against_twin(FinnConfig().program(network), [held], images)


def test_accumulator_bit_beyond_the_width_of_the_sum_is_its_sign():
    """All lower bits at 0, the highest at 1: the smallest number of that width."""
    network = small_network(np.random.default_rng(6))
    bits = network.layers[-1].accumulator_bits
    faults = [
        PeFault(kind=PeFaultKind.accumulator, layer=3, unit=1, bit=i, value=int(i == bits - 1))
        for i in range(bits)
    ]
    images = random_images(network, 2, np.random.default_rng(7))
    design = FinnConfig().program(network).inject(faults)
    assert (design.scores(images)[:, 1::4] == -(1 << (bits - 1))).all()
    check_against_twin(FinnConfig().program(network), faults, images)


def test_transient_faults_find_their_image_in_any_batch_and_come_one_after_the_other():
    rng = np.random.default_rng(9)
    design = random_design(CASES["w1a2 ternary"], rng, False)
    images = random_images(design.network, 5, rng)
    faults = without_contradictions(design, list(some_faults(design, PeFaultKind.lane, 30, 5, rng)))
    expected, _ = run_faulty(design.network, images, faults)
    split = design.inject(faults[:9]).inject(faults[9:])
    for batch_size in (1, 2, 5):
        assert split.scores(images, batch_size=batch_size).tolist() == expected
