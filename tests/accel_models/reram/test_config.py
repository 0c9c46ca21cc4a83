"""ReRAM accelerators: presets, what they want of networks, and energies that they do not claim."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from accel_models.reram.config import ReramConfig, accelerator, accelerator_presets, differential, isaac
from accel_models.reram.power import PowerModel
from tests.helpers.chips import untrained_chip
from xbarsim.chip import Quantization
from xbarsim.crossbar.config import AdcConfig
from xbarsim.errors import InputError
from xbarsim.experiments.inspection import chip_table
from xbarsim.registry import accelerators
from xbarsim.report.tables import energy
from xbarsim.subject import Subject

IMAGES = np.zeros((2, 1, 8, 8), np.float32), np.zeros(2, int)


@pytest.mark.parametrize("name", accelerator_presets())
def test_presets_are_in_the_registry_under_their_names(name):
    config = accelerators.make(name)
    assert config == accelerator_presets()[name] == accelerator(name)
    assert config.name == name
    assert np.isfinite(config.power.energy_pJ(1, config.t_mvm_ns, config.array))


def test_a_network_becomes_what_the_arrays_hold():
    assert isaac().quantization == Quantization(weight_bits=16, activation_bits=16)
    assert differential().quantization.symmetric
    small = replace(isaac(), array=replace(isaac().array, input_bits=8))
    assert small.quantization.activation_bits == 8


def test_program_gives_a_chip_of_the_accelerator():
    graph = untrained_chip("digits-mlp", isaac()).graph
    chip = isaac().program(graph)
    assert chip.accelerator == isaac()
    assert chip.resources == {
        "arrays": chip.placement.arrays,
        "cells": chip.placement.arrays * 128 * 128,
        "used_cells": chip.placement.used_cells,
    }
    with pytest.raises(InputError, match="network: expected a IntegerGraph"):
        isaac().program("a network")


def test_a_network_that_needs_more_arrays_is_told_both_ways_out():
    graph = untrained_chip("digits-mlp", isaac()).graph
    whole = isaac().program(graph)
    assert whole.placement.arrays == 7
    small = replace(isaac(), arrays=3)
    with pytest.raises(InputError, match=r"at most 3 arrays, got 7; say chips=3 .*, or arrays=7 ") as refusal:
        small.program(graph)
    assert "\n" not in str(refusal.value)
    with pytest.raises(InputError, match=r"at most 3 arrays on each of 2 chips.*chips=3 .* arrays=4 "):
        replace(small, chips=2).program(graph)
    for enough in (replace(small, chips=3), replace(small, arrays=4, chips=2), replace(small, arrays=7)):
        assert enough.program(graph).geometry == whole.geometry


def test_several_chips_hold_what_one_large_one_would():
    graph = untrained_chip("digits-mlp", isaac()).graph
    whole, spread = isaac().program(graph), replace(isaac(), arrays=3, chips=3).program(graph)
    assert spread.placement == whole.placement and spread.cost(10) == whole.cost(10)
    assert spread.write_cost == whole.write_cost
    images = np.random.default_rng(0).random((4, *graph.input_shape))
    np.testing.assert_array_equal(spread.run(images).scores, whole.run(images).scores)
    assert spread.config.all_arrays == 9 and accelerators.parse("isaac:chips=3").chips == 3
    with pytest.raises(InputError, match=r"ReramConfig\.chips"):
        replace(isaac(), chips=0)


def test_energy_of_arrays_of_ones_own_is_unknown_until_a_model_is_given():
    graph = untrained_chip("digits-mlp", isaac()).graph
    known = isaac().program(graph).cost(1)
    own = replace(isaac(), name="own", array=replace(isaac().array, adc=AdcConfig(bits=9)))
    unknown = own.program(graph)
    assert isnan(unknown.cost(1).energy_pJ) and unknown.cost(1).latency_ns == known.latency_ns
    note = chip_table(Subject(graph, own, test=IMAGES)).note
    assert "energy unknown" in note and "nan" not in note
    assert energy(known.energy_pJ) in chip_table(Subject(graph, isaac(), test=IMAGES)).note
    model = PowerModel(source="own", tile_mW=1.0, arrays_per_tile=1, adc_bits=9)
    given = replace(own, power=model).program(graph).cost(1)
    products = sum(load.positions * load.arrays for load in unknown.loads)
    assert given.energy_pJ == products * own.t_mvm_ns


def test_what_is_no_power_model_is_refused():
    with pytest.raises(InputError, match=r"ReramConfig\.power: expected a PowerModel"):
        ReramConfig(power=None)
