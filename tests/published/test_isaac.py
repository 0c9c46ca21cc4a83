"""ISAAC (ISCA 2016), Table I: the components add up to the published totals."""

import pytest

from accel_models.reram import power
from xbarsim.crossbar.config import ArrayConfig


def test_components_add_up_to_the_published_powers():
    ima = sum(c.power_mW for c in power.ima_components())
    assert 12 * ima == pytest.approx(289, abs=0.5)
    assert power.tile_power_mW() == pytest.approx(330, abs=0.5)
    assert 168 * power.tile_power_mW() / 1000 == pytest.approx(55.4, abs=0.1)
    assert power.chip_power_mW() / 1000 == pytest.approx(65.8, abs=0.1)


def test_components_add_up_to_the_published_areas():
    ima = sum(c.area_mm2 for c in power.ima_components())
    assert 12 * ima == pytest.approx(0.157, abs=0.001)
    assert power.tile_area_mm2() == pytest.approx(0.372, abs=0.001)
    assert 168 * power.tile_area_mm2() == pytest.approx(62.5, abs=0.1)
    assert power.chip_area_mm2() == pytest.approx(85.4, abs=0.1)


def test_an_array_always_multiplying_draws_its_share_of_the_tile():
    energy_pJ = power.isaac_power().energy_pJ(1000, 1600.0, ArrayConfig())
    assert energy_pJ / (1000 * 1600.0) == pytest.approx(power.tile_power_mW() / 96)
