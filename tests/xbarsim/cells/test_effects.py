"""Each effect on bare conductances: its published formula in float64, and the law of what it draws."""

import numpy as np
import pytest

from xbarsim.cells.effects import (
    DAY,
    Additive,
    Decay,
    Drift,
    FlickerRead,
    Lognormal,
    ProgrammingAndRelaxation,
    UniformRead,
    VerifyError,
)
from xbarsim.errors import InputError

G = np.linspace(2, 40, 500, dtype=np.float32)
RANGE = {"g_off_uS": 1.0, "g_on_uS": 40.0}


def draws(effect, seed=0):
    return np.random.default_rng(seed).standard_normal((effect.draws, *G.shape)).astype(np.float32)


def polynomial(g, coefficients):
    return sum(c * (g / 40) ** power for power, c in enumerate(coefficients))


@pytest.mark.parametrize(
    ("seconds", "coefficients"),
    [
        (0.1, (0.348, 16.03, -43.853, 45.393, -16.815)),
        (1.0, (0.348, 16.03, -43.853, 45.393, -16.815)),
        (DAY, (0.701, 22.086, -50.773, 47.095, -16.458)),
        (2 * DAY, (0.782, 20.274, -43.507, 37.062, -11.934)),
    ],
)
def test_relaxation_has_the_tabulated_spread_at_its_times(seconds, coefficients):
    """Both draws together: the root of the sum of the squares of what each contributes."""
    effect, unit = ProgrammingAndRelaxation(), np.ones_like(G)
    written = effect.apply(G, np.stack([unit, 0 * unit]), seconds=seconds, **RANGE) - G
    relaxed = effect.apply(G, np.stack([0 * unit, unit]), seconds=seconds, **RANGE) - G
    expected = np.maximum(polynomial(G.astype(float), coefficients), 0)
    np.testing.assert_allclose(np.hypot(written, relaxed), expected, atol=2e-4)


def test_relaxation_scales_with_the_range():
    effect, z = ProgrammingAndRelaxation(), draws(ProgrammingAndRelaxation())
    small = effect.apply(G, z, seconds=DAY, g_off_uS=1, g_on_uS=40)
    large = effect.apply(3 * G, z, seconds=DAY, g_off_uS=3, g_on_uS=120)
    np.testing.assert_allclose(large, 3 * small, rtol=1e-4)


@pytest.mark.parametrize(
    ("effect", "seconds", "mean", "sigma"),
    [
        (VerifyError(), 5.0, lambda g: g, lambda g: 4.782 - 0.0091 * g),
        (VerifyError(intercept_uS=1.0, slope=-0.1), 5.0, lambda g: g, lambda g: np.maximum(1 - 0.1 * g, 0)),
        (Additive(0.03), 5.0, lambda g: g, lambda g: 0.03 * 39),
        (Decay(), 0.5, lambda g: g, lambda g: 0),
        (Decay(), 1e4, lambda g: g - 0.0890 * np.log(1e4), lambda g: 0.0420 * np.log(1e4) + 0.4118),
    ],
)
def test_draws_are_added_with_the_effects_spread(effect, seconds, mean, sigma):
    z = draws(effect)
    found, g = effect.apply(G, z, seconds=seconds, **RANGE), G.astype(float)
    np.testing.assert_allclose(found, mean(g) + sigma(g) * z[0], rtol=1e-5, atol=1e-5)


def test_lognormal_cells_keep_their_sign_and_their_median():
    effect = Lognormal(0.4)
    z = draws(effect)
    found = effect.apply(G, z, seconds=1.0, **RANGE)
    np.testing.assert_allclose(found, G * np.exp(0.4 * z[0].astype(float)), rtol=1e-5)


@pytest.mark.parametrize("seconds", [0.0, 60.0, 1e7])
def test_drift_is_a_power_of_time_with_a_clamped_exponent(seconds):
    found = Drift().apply(G, draws(Drift()), seconds=seconds, **RANGE)
    nu = np.clip(-0.0155 * np.log(G.astype(float) / 40) + 0.0244, 0.049, 0.1)
    np.testing.assert_allclose(found, G * ((seconds + 20) / 20) ** -nu, rtol=1e-5)


def test_flicker_grows_with_conductance_and_time_and_is_none_below_1_uS():
    g = np.array([0.5, 1.0, 10.0, 88.0], np.float32)
    found = FlickerRead().sigma_uS(g, seconds=100.0, **RANGE)
    growth = np.sqrt(np.log((100 + 1e-6) / 2e-6))
    assert found == pytest.approx([0, 0, 0.0277 * growth, 0.0277 * np.log10(88) * growth], rel=1e-5)
    assert (
        FlickerRead().sigma_uS(g, seconds=1e-3, **RANGE) == FlickerRead().sigma_uS(g, seconds=1.0, **RANGE)
    ).all()


def test_uniform_read_noise_is_a_share_of_the_range():
    found = UniformRead(0.02).sigma_uS(G, seconds=1.0, **RANGE)
    assert found.dtype == np.float32 and found == pytest.approx(np.full(len(G), 0.02 * 39))
    assert UniformRead(0.02).uniform and not FlickerRead().uniform


@pytest.mark.parametrize(
    "make",
    [
        lambda: UniformRead(float("nan")),
        lambda: Additive(-0.1),
        lambda: Lognormal("wide"),
        lambda: VerifyError(intercept_uS=float("inf")),
        lambda: ProgrammingAndRelaxation(reference_uS=0),
    ],
)
def test_effects_that_mean_nothing_are_refused(make):
    with pytest.raises(InputError):
        make()
