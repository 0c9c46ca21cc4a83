"""Neurons driven by events: trains, potentials and events, one neuron and one step at a time."""

import numpy as np
import pytest

from tests.twins.spiking import mix, uniform
from xbarsim.kernels import lif

STEPS = 9


def parameters(rng, neurons):
    """Two sets of gain, offset, threshold and leak, and windows that are empty for some."""
    values = np.stack([rng.uniform(low, high, (2, neurons)) for low, high in
                       ((0.5, 1.5), (-0.2, 0.2), (0.3, 1.2), (0, 1))], axis=1)  # fmt: skip
    first = rng.integers(0, STEPS, neurons)
    return values, np.stack([first, first + rng.integers(0, 4, neurons)])


def test_words_are_mixed_by_splitmix64():
    for word in (0, 1, 2**63, 0xDEADBEEF12345678, 2**64 - 1):
        assert int(lif.mix(np.uint64(word))) == mix(word)


@pytest.mark.parametrize(
    ("share", "expected"), [(-0.5, 0), (0.0, 0), (2**-33, 0), (0.25, 2**30), (1.0, 2**32), (7.0, 2**32)]
)
def test_levels_are_shares_of_words(share, expected):
    assert int(lif.level(share, 1.0, 0.0)) == expected
    assert int(lif.level(0.0, 1.0, share)) == expected


def test_what_is_no_number_never_spikes():
    assert int(lif.level(np.nan, 1.0, 0.0)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_images_become_the_trains_that_the_twin_draws(seed):
    rng = np.random.default_rng(seed)
    pixels, image = 12, int(rng.integers(1000))
    values = rng.random(pixels)
    values[:2] = 0, 1
    inputs = np.stack([rng.uniform(0, 1.3, (2, pixels)), rng.uniform(-0.2, 0.2, (2, pixels))], axis=1)
    first = rng.integers(0, STEPS, pixels)
    windows = np.stack([first, first + rng.integers(0, 4, pixels)])
    neurons, ends, times = (np.zeros(n, np.int64) for n in (pixels, pixels + 1, pixels * STEPS + 1))
    key = np.uint64(lif.key_of(np.uint64(seed), image))
    count = lif.encode(values, inputs, windows, key, STEPS, neurons, ends, times)

    found = {int(neurons[a]): times[ends[a] : ends[a + 1]].tolist() for a in range(count)}
    expected = {}
    for k in range(pixels):
        train = []
        for t in range(STEPS):
            gain, offset = inputs[int(windows[0, k] <= t < windows[1, k]), :, k]
            share = gain * values[k] + offset
            level = 0 if share <= 0 else min(int(share * 2**32), 2**32)
            if uniform(seed, image, k, t) < level:
                train.append(t)
        if train:
            expected[k] = train
    assert found == expected and expected


@pytest.mark.parametrize("seed", range(5))
def test_neurons_leak_fire_and_are_reset_one_step_later(seed):
    rng = np.random.default_rng(seed)
    m = 6
    neurons, windows = parameters(rng, m)
    current = rng.uniform(-0.5, 1.5, (STEPS, m))
    membrane = np.zeros((STEPS, m))
    lif.integrate(current, neurons, windows, membrane)
    spiking, ends, times = (np.zeros(n, np.int64) for n in (m, m + 1, m * STEPS + 1))
    count = lif.fire(membrane, neurons, windows, spiking, ends, times)

    trains = {}
    for j in range(m):
        u, fired = 0.0, False
        for t in range(STEPS):
            gain, offset, threshold, leak = neurons[int(windows[0, j] <= t < windows[1, j]), :, j]
            kept = 0.0 if fired else leak * u
            u = (gain * current[t, j] + kept if t else gain * current[t, j]) + offset
            assert membrane[t, j] == u
            fired = u > threshold
            if fired:
                trains.setdefault(j, []).append(t)
    found = {int(spiking[a]): times[ends[a] : ends[a + 1]].tolist() for a in range(count)}
    assert found == trains and trains


def test_every_event_adds_its_neurons_row():
    rng = np.random.default_rng(0)
    weights, current = rng.integers(-9, 9, (5, 3)).astype(float), np.zeros((STEPS, 3))
    neurons, ends, times = np.array([1, 4]), np.array([0, 2, 5]), np.array([0, 3, 1, 2, 8])
    lif.add_events(current, weights, 2, neurons, ends, times)
    spikes = np.zeros((STEPS, 5))
    spikes[[0, 3], 1] = spikes[[1, 2, 8], 4] = 1
    assert (current == spikes @ weights).all()
