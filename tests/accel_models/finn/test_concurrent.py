"""Fault simulation counts what plain runs of faulty accelerators give."""

import numba
import numpy as np
import pytest
from hypothesis import given

from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.layer import BIPOLAR, TERNARY
from tests.helpers.finn_cases import (
    CASES,
    FEW,
    SEEDS,
    Case,
    check_against_twin,
    lines,
    parametrize_cases,
    parametrize_designs,
    random_design,
    random_images,
    random_network_of,
    some_faults,
)
from tests.helpers.finn_networks import small_network
from xbarsim.errors import InputError
from xbarsim.faults.pe import PeFault, PeFaultKind, PeFaults, join

pytestmark = pytest.mark.usefixtures("one_thread")


def rerun(design, faults, images, labels):
    """Hits, flips and masked images of every fault, by a plain run of the design that has it."""
    shown = design.network.head.classes
    healthy, classes = design.scores(images)[:, :shown], design.classify(images)
    found = []
    for fault in faults:
        faulty = design.inject([fault])
        own = faulty.classify(images)
        same = (faulty.scores(images)[:, :shown] == healthy).all(axis=1)
        found.append([int((own == labels).sum()), int((own != classes).sum()), int(same.sum())])
    return found


def check_simulation(design, faults, images, labels, **options):
    results = simulate_faults(design, faults, images, labels, **options)
    counts = np.stack([results.hits, results.flips, results.masked], axis=1)
    assert counts.tolist() == rerun(design, faults, images, labels)
    assert results.shots == len(images)
    assert results.baseline_hits == int((design.classify(images) == labels).sum())


def faults_of_all_kinds(design, count, images, rng):
    """In a shuffled order, some of them twice."""
    found = join([some_faults(design, kind, count, images, rng) for kind in PeFaultKind])
    return found.take(rng.integers(0, len(found), len(found) + 5))


@parametrize_designs
@parametrize_cases
@FEW
@given(seed=SEEDS)
def test_simulation_counts_what_plain_runs_count(case, loopback, seed):
    rng = np.random.default_rng(seed)
    design = random_design(case, rng, loopback)
    images = random_images(design.network, 4, rng)
    labels = rng.integers(0, design.network.head.classes, len(images))
    check_simulation(design, faults_of_all_kinds(design, 10, len(images), rng), images, labels)


@pytest.mark.parametrize("memory_MB", [16, 1024])
@pytest.mark.parametrize("name", ["w1a1", "w2a3 lines", "w1a1 highest bit", "w8a3 strides"])
def test_simulation_is_the_same_in_batches(name, memory_MB):
    """More images than a batch has at most, and transient faults in every batch; on all threads."""
    rng = np.random.default_rng(3)
    design = random_design(CASES[name], rng, False)
    images = random_images(design.network, 300, rng)
    labels = rng.integers(0, design.network.head.classes, len(images))
    faults = faults_of_all_kinds(design, 8, len(images), rng)
    ends = faults.take(np.arange(4)).struck(np.array([0, 255, 256, 299]))
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    try:
        check_simulation(design, join([faults, ends]), images, labels, memory_MB=memory_MB)
    finally:
        numba.set_num_threads(1)


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_simulation_of_wide_layers_counts_what_plain_runs_count(bits):
    """Blocks of 64, 128 and 256 rows; so many changed bits that a window is counted anew."""
    rng = np.random.default_rng(bits)
    chain = (
        (70, (2, 2), (1, 1), 2),
        (450, (1, 1), (1, 1), 1),
        (200, (2, 2), (1, 1), 1),
        (330, (1, 1), (1, 1), 1),
    )
    case = Case((bits,) * 4, (BIPOLAR, TERNARY, BIPOLAR, None), chain, image=(5, 5, 3))
    design = random_design(case, rng, False)
    images = random_images(design.network, 3, rng)
    labels = rng.integers(0, design.network.head.classes, len(images))
    check_simulation(design, faults_of_all_kinds(design, 20, len(images), rng), images, labels)


def test_simulation_of_small_networks_of_the_boards():
    rng = np.random.default_rng(8)
    for bits, activations in ((1, 1), (1, 2), (2, 2)):
        design = FinnConfig().program(small_network(rng, bits, activations))
        images = random_images(design.network, 5, rng)
        check_simulation(design, faults_of_all_kinds(design, 15, 5, rng), images, np.arange(5))


def test_network_of_one_layer_is_simulated():
    rng = np.random.default_rng(1)
    design = random_design(lines(1, (None,), (6,)), rng, False)
    images = random_images(design.network, 3, rng)
    every = faults_of_all_kinds(design, 10, 3, rng)
    for fault in every:
        check_against_twin(design, [fault], images)
    check_simulation(design, every, images, np.zeros(3, np.int64))


def test_simulation_of_no_faults_gives_the_baseline():
    rng = np.random.default_rng(2)
    design = random_design(CASES["w1a1"], rng, False)
    images = random_images(design.network, 3, rng)
    check_simulation(design, PeFaults.of([]), images, np.zeros(3, np.int64))


def test_shared_pe_that_no_layer_uses_changes_nothing():
    """Row n is on PE n mod pe: PE 8 has no work in layers of up to 8 rows."""
    rng = np.random.default_rng(4)
    network = random_network_of(CASES["w1a1"], rng)
    design = FinnConfig(loopback=(9, 2)).program(network)
    idle = PeFault(kind=PeFaultKind.pe, layer=-1, unit=8, value=1)
    images = random_images(network, 3, rng)
    check_against_twin(design, [idle], images)
    check_simulation(design, PeFaults.of([idle]), images, np.zeros(3, np.int64))


def test_simulation_reports_every_inference():
    rng = np.random.default_rng(10)
    design = random_design(CASES["w1a1"], rng, False)
    images, steps = random_images(design.network, 4, rng), []
    faults = faults_of_all_kinds(design, 5, 4, rng)
    simulate_faults(design, faults, images, np.zeros(4, np.int64), on_step=lambda *step: steps.append(step))
    assert steps == sorted(steps)
    assert steps[-1] == (4 * len(faults), 4 * len(faults))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"image": 3}, "transient fault: expected an image in 0..2, got 3"),
        ({"unit": 99}, "unit in 0.."),
        ({"layer": 4}, "expected a layer in 0..3, got 4"),
        ({"layer": -1}, "expected a layer in 0..3, got -1"),
        ({"value": 5}, "expected value -1 or 1, got 5"),
    ],
)
def test_simulation_refuses_faults_outside_the_design(change, text):
    rng = np.random.default_rng(11)
    design = random_design(CASES["w1a1"], rng, False)
    fault = PeFault(**{"kind": PeFaultKind.pe, "layer": 0, "unit": 0, "value": 1} | change)
    images = random_images(design.network, 3, rng)
    with pytest.raises(InputError) as caught:
        simulate_faults(design, PeFaults.of([fault]), images, np.zeros(3, np.int64))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_simulation_refuses_faulty_designs_and_labels_of_other_images():
    rng = np.random.default_rng(12)
    design = random_design(CASES["w1a1"], rng, False)
    images, faults = random_images(design.network, 3, rng), some_faults(design, PeFaultKind.pe, 2, 3, rng)
    with pytest.raises(InputError, match="no faults of its own"):
        simulate_faults(design.inject(faults), faults, images, np.zeros(3, np.int64))
    with pytest.raises(InputError, match=r"labels: expected \(3,\), got \(2,\)"):
        simulate_faults(design, faults, images, np.zeros(2, np.int64))
