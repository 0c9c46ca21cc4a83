"""What differs is carried through the layers: the classes of every fault are those of a plain run with it."""

import numpy as np
import pytest

from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from tests.helpers.finn_networks import small_network
from xbarsim.faults.pe import PeFaultKind


@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(1, 1), (1, 2), (2, 2), (3, 3), (8, 8)])
@pytest.mark.parametrize("inclusive", [False, True])
def test_every_fault_leads_to_the_classes_of_a_plain_run(weight_bits, activation_bits, inclusive):
    rng = np.random.default_rng(weight_bits)
    network = small_network(rng, weight_bits, activation_bits, inclusive=inclusive)
    chip = FinnConfig().program(network)
    images = rng.integers(0, 256, (5, *network.image), dtype=np.uint8)
    labels = rng.integers(0, 10, len(images))
    faults = chip.fault_list(list(PeFaultKind)).sample(150, rng)
    faults = faults.struck(np.where(rng.random(len(faults)) < 0.7, -1, rng.integers(0, 5, len(faults))))
    found = simulate_faults(chip, faults, images, labels)
    healthy = chip.classify(images)
    for i, fault in enumerate(faults.each()):
        classes = chip.inject(fault).classify(images)
        assert found.hits[i] == (classes == labels).sum()
        assert found.flips[i] == (classes != healthy).sum()
    assert (found.flips > 0).any() and (found.flips == 0).any()
