"""Energies are those of the arrays that a model is for, and unknown for others."""

from dataclasses import replace
from math import isnan

import pytest

from accel_models.reram.power import PowerModel, isaac_power, isaac_power_charged_to, tile_power_mW
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.errors import InputError

ISAAC = ArrayConfig()
OTHERS = [
    replace(ISAAC, rows=64),
    replace(ISAAC, columns=256),
    replace(ISAAC, adc=AdcConfig(bits=6)),
    replace(ISAAC, dac_bits=2),
    replace(ISAAC, format=WeightFormat(cell_bits=1)),
]


def test_energy_of_isaacs_arrays_is_their_share_of_the_tile():
    assert isaac_power().energy_pJ(10, 1600.0, ISAAC) == 10 * 1600.0 * tile_power_mW() / 96


@pytest.mark.parametrize("array", OTHERS)
def test_other_arrays_are_unknown_unless_charged_on_purpose(array):
    assert isnan(isaac_power().energy_pJ(10, 1600.0, array))
    charged = isaac_power_charged_to(array)
    assert charged.energy_pJ(10, 1600.0, array) == isaac_power().energy_pJ(10, 1600.0, ISAAC)
    assert "charged to other arrays" in charged.source
    assert isnan(charged.energy_pJ(10, 1600.0, ISAAC))


def test_encodings_draw_the_same():
    plain = replace(ISAAC, format=WeightFormat(weight_bits=8), inverted_storage=False, input_bits=8)
    assert isaac_power().holds_for(plain)


@pytest.mark.parametrize("change", [{"tile_mW": 0}, {"tile_mW": float("nan")}, {"arrays_per_tile": 0}])
def test_nonsense_is_refused(change):
    with pytest.raises(InputError, match="PowerModel"):
        PowerModel(**{"source": "own", "tile_mW": 1.0, "arrays_per_tile": 1, **change})
