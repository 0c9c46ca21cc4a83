"""Stuck activations of FINN chips; what a training injects is tested with the injection."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from xbarsim.errors import InputError
from xbarsim.faults.activations import StuckActivations
from xbarsim.faults.pe import FinnGeometry, UnitGeometry

WIDE = UnitGeometry(
    rows=300, columns=9, pe=2, simd=4, weight_bits=2, threshold_bits=7, accumulator_bits=5, thresholds=2,
    values=(-1, 0, 1), products=(-2, 0, 2), pixels=200,
)  # fmt: skip
LAST = replace(WIDE, rows=10, values=(), thresholds=0, pixels=0)
DESIGN = FinnGeometry((WIDE, replace(WIDE, rows=100, values=(0, 3), pixels=50), LAST))


def draws(unit, rate, count=40):
    model = StuckActivations(rate=rate, unit=unit)
    return [model.draw(DESIGN, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize(("unit", "sizes"), [("channel", (300, 100)), ("pixel", (200, 50))])
def test_every_unit_is_stuck_with_the_rate_at_a_value_of_its_layer(unit, sizes):
    found = draws(unit, 0.2)
    for faults in found:
        faults.check(DESIGN)
        assert set(faults.counts()) == {unit}
        assert len({(f.layer, f.unit) for f in faults}) == len(faults)
    for layer, size in enumerate(sizes):
        values = np.concatenate([faults.where(layer=layer).column("value") for faults in found])
        low, high = binom.interval(0.9999, len(found) * size, 0.2)
        assert low <= len(values) <= high
        assert set(values) == set(DESIGN.layers[layer].values)
        assert chisquare(np.unique(values, return_counts=True)[1]).pvalue > 1e-4
    assert not any(len(faults.where(layer=2)) for faults in found)


def test_rates_zero_and_one_stick_no_unit_and_all():
    assert len(draws("channel", 0.0, 1)[0]) == 0
    assert len(draws("channel", 1.0, 1)[0]) == 400


def test_units_of_layers_are_stuck_in_loopback_too():
    shared = FinnGeometry(DESIGN.layers, LAST)
    faults = StuckActivations(rate=0.5).draw(shared, np.random.default_rng(0))
    faults.check(shared)
    assert set(faults.column("layer")) == {0, 1}


def test_single_activations_are_not_stuck_in_a_chip():
    with pytest.raises(InputError, match=r"StuckActivations\.unit: expected 'channel' or 'pixel'"):
        draws("element", 0.1)
