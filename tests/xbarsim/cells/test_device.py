"""Devices by name, their range of levels, and what moves their cells."""

import numpy as np
import pytest

from xbarsim.cells.device import Device, device, device_presets
from xbarsim.cells.effects import Additive, Drift, Lognormal
from xbarsim.errors import InputError


@pytest.mark.parametrize(
    "make",
    [
        lambda: Device(name="x", source="", g_off_uS="1", g_on_uS=2),
        lambda: Device(name="x", source="", g_off_uS=1, g_on_uS=float("nan")),
        lambda: Device(name="x", source="", g_off_uS=1, g_on_uS=2, effects=(1,)),
        lambda: Device(name="x", source="", g_off_uS=1, g_on_uS=2, read=3),
        lambda: Device(name="x", source="", g_off_uS=1, g_on_uS=2, longest_seconds=float("nan")),
    ],
)
def test_devices_that_mean_nothing_are_refused(make):
    with pytest.raises(InputError):
        make()


def test_devices_by_name():
    assert set(device_presets()) == {"ideal", "hfo2-wan", "hfo2-milo", "cmo-hfox", "pcm", "variation-3"}
    with pytest.raises(InputError, match="cmo-hfox, hfo2-milo"):
        device("hfo")
    with pytest.raises(InputError, match="g_off_uS < g_on_uS"):
        Device(name="x", source="", g_off_uS=2, g_on_uS=1)


def test_levels_are_spread_evenly_over_the_range():
    cells = Device(name="x", source="", g_off_uS=10, g_on_uS=70)
    assert cells.step_uS(4) == 20
    assert cells.target_uS(np.arange(4), 4).tolist() == [10, 30, 50, 70]


def test_effects_act_one_after_the_other_with_draws_of_their_own():
    effects = (Additive(0.1), Drift(), Lognormal(0.2))
    cells = Device(name="x", source="", g_off_uS=0, g_on_uS=50, effects=effects)
    z = np.random.default_rng(0).standard_normal((2, 300)).astype(np.float32)
    target = cells.target_uS(np.arange(300) % 4, 4)
    options = {"seconds": 3600.0, "g_off_uS": 0, "g_on_uS": 50}
    added = effects[0].apply(target, z[:1], **options)
    drifted = effects[1].apply(added, z[1:1], **options)
    expected = effects[2].apply(drifted, z[1:], **options)
    assert cells.draws == 2
    np.testing.assert_array_equal(cells.conductance_uS(target, z, 3600.0), np.maximum(expected, 0))
    assert (expected < 0).any()  # what the effects alone would give


def test_cells_without_read_noise_read_their_conductance():
    g = np.array([1, 50], np.float32)
    assert device("ideal").read_sigma_uS(g, 1.0).tolist() == [0, 0]
    assert device("hfo2-wan").read_sigma_uS(g, 1.0) == pytest.approx([0.39, 0.39])
