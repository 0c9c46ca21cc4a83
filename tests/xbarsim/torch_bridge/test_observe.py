"""Ranges of values in calibration: exact, by percentile, by least error."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xbarsim.errors import InputError
from xbarsim.torch_bridge.observe import AT_ONCE, BINS, observe, run_captured
from xbarsim.torch_bridge.plain import plain

torch.manual_seed(0)
MODULE = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double().eval()
CAPTURED = plain(MODULE, torch.randn(3, 6).double())


def values_of(x):
    found = {}
    run_captured(CAPTURED, [x], lambda node, value: found.setdefault(node, value.numpy()))
    return found


def identity():
    """A network whose first value is its input, and which takes any numbers."""
    module = nn.Sequential(nn.Linear(1, 1)).double().eval()
    return plain(module, torch.zeros(3, 1).double())


def range_of(numbers, **options):
    captured = identity()
    x = torch.as_tensor(np.asarray(numbers, float)).reshape(-1, 1)
    return observe(captured, [x], **options)[captured.inputs[0]]


def test_every_value_is_that_of_the_module():
    x = torch.randn(7, 6).double()
    values = list(values_of(x).values())
    with torch.no_grad():
        wanted = [x, MODULE[0](x), MODULE[:2](x), MODULE(x)]
    assert len(values) == 4
    for found, value in zip(values, wanted, strict=True):
        np.testing.assert_allclose(found, value, atol=1e-12)


@pytest.mark.parametrize("count", [1, 5, AT_ONCE + 3])
def test_smallest_and_largest_are_exact_and_hold_zero(count):
    x = torch.randn(count, 6).double() + 4
    found = observe(CAPTURED, [x])
    for node, values in values_of(x).items():
        assert found[node] == pytest.approx((min(values.min(), 0), max(values.max(), 0)), abs=1e-12)
    assert found[CAPTURED.inputs[0]] == (min(float(x.min()), 0), float(x.max()))


@settings(max_examples=settings().max_examples // 6)
@given(st.integers(0, 2**32), st.floats(60, 100), st.sampled_from(["both", "above", "below"]))
def test_percentiles_are_those_of_numpy_within_a_bin(seed, percentile, sides):
    numbers = np.random.default_rng(seed).standard_t(3, 4000)
    numbers = {"both": numbers, "above": np.abs(numbers), "below": -np.abs(numbers)}[sides]
    rest = (100 - percentile) / (2 if sides == "both" else 1)
    low, high = range_of(numbers, method="percentile", percentile=percentile)
    least, most = min(numbers.min(), 0), max(numbers.max(), 0)
    width = (most - least) / BINS
    # of 4000 numbers, those next to each other differ as well
    wanted = (
        np.percentile(numbers, [rest, 100 - rest], method="lower"),
        np.percentile(numbers, [rest, 100 - rest], method="higher"),
    )
    for end, one, other, own in ((low, 0, 0, least), (high, 1, 1, most)):
        if own == 0:
            assert end == 0
        else:
            assert wanted[0][one] - 2 * width <= end <= wanted[1][other] + 2 * width
    beyond = np.count_nonzero((numbers < low - 1e-12) | (numbers > high + 1e-12))
    assert beyond <= (100 - percentile) / 100 * len(numbers) + 1


def test_all_of_the_values_are_the_range_of_a_hundred_percent():
    numbers = np.random.default_rng(0).normal(size=1000)
    assert range_of(numbers, method="percentile", percentile=100) == (numbers.min(), numbers.max())


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_least_error_is_near_that_of_a_search_over_the_numbers_themselves(bits):
    numbers = np.random.default_rng(bits).standard_t(3, 20000)

    def error(factor):
        low, high = numbers.min() * factor, numbers.max() * factor
        step = (high - low) / (2**bits - 1)
        rounded = np.clip(np.floor((numbers - low) / step + 0.5), 0, 2**bits - 1) * step + low
        return ((rounded - numbers) ** 2).mean()

    low, high = range_of(numbers, method="error", bits=bits)
    assert low / numbers.min() == pytest.approx(high / numbers.max())
    best = min(map(error, np.linspace(0.2, 1, 81)))
    assert error(high / numbers.max()) <= 1.15 * best
    wide, narrow = (range_of(numbers, method="error", bits=b)[1] for b in (16, 2))
    assert wide > narrow


@pytest.mark.parametrize("method", ["min-max", "percentile", "error"])
def test_nothing_but_zeros_has_no_range(method):
    assert range_of(np.zeros(5), method=method) == (0.0, 0.0)


def test_inputs_that_do_not_fit_are_refused_by_the_layer():
    with pytest.raises(InputError, match=r"layer '0' \(Linear\): expected inputs that fit the network"):
        observe(CAPTURED, [torch.randn(3, 7).double()])
