"""Leaky integrate-and-fire neurons, driven by events.

A *train* is the list of steps at which a neuron spikes. The trains of a layer are kept as events: the neurons
that spike at all, and behind each other the steps of each. A layer's current is one row of weights for every
event; quiet neurons cost nothing.

Inputs are rate coded: at every step a pixel spikes with the probability of its value, from random numbers
that are a function of a key, the pixel and the step (a counter-based generator, splitmix64's finalizer). So
a train does not depend on which other pixels were drawn, nor on the order or number of threads, and pixels
that cannot spike cost no random number.

A neuron: u <- leak * u * (1 - s) + gain * I + offset, s = u > threshold: hard reset, one step later. Gain,
offset, threshold and leak have two values each: the second holds for steps first <= t < last.

Slow, obvious twin: `tests/twins/spiking.py`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# rows of the parameters of neurons
GAIN, OFFSET, THRESHOLD, LEAK = range(4)
# half the width of the surrogate gradient: 1 where |u - threshold| < 1/2
HALF_WIDTH = 0.5

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32, _1 = (np.uint64(n) for n in (30, 27, 31, 32, 1))
_LOW = np.uint64(0xFFFFFFFF)
_ALWAYS = np.uint64(2**32)


@njit(cache=True, inline="always")
def mix(word):
    """The finalizer of splitmix64: a bijection of 64 bits that leaves no pattern."""
    word = (word ^ (word >> _30)) * _FIRST
    word = (word ^ (word >> _27)) * _SECOND
    return word ^ (word >> _31)


@njit(cache=True)
def key_of(seed, image):
    """The key of an image's spikes."""
    return mix(mix(seed) + (np.uint64(image) + _1) * _GOLDEN)


@njit(cache=True)
def level(value, gain, offset):
    """A pixel's probability of a spike in units of 2**-32, rounded down, between never and always."""
    share = gain * value + offset
    if not share > 0.0:
        return np.uint64(0)
    return _ALWAYS if share >= 1.0 else np.uint64(share * 4294967296.0)


@njit(cache=True)
def draw_train(key, pixel, first_level, second_level, first, last, steps, times, place):
    """Write the steps at which a pixel spikes from `place` on; returns the place behind them."""
    state = mix(key + (np.uint64(pixel) + _1) * _GOLDEN)
    word = np.uint64(0)
    for t in range(steps):
        if t & 1:
            word >>= _32
        else:
            word = mix(state + np.uint64(t) * _GOLDEN)
        chosen = second_level if first <= t < last else first_level
        times[place] = t
        place += (word & _LOW) < chosen
    return place


@njit(cache=True)
def encode(values, inputs, windows, key, steps, neurons, ends, times):
    """Events of an image.

    Parameters
    ----------
    values : (K,) pixels
    inputs : (2, 2, K), gain and offset of the probability outside and inside the window
    windows : (2, K), first and last of each
    neurons, ends, times : out; (K,), (K + 1,), (K * steps + 1,)

    Returns
    -------
    How many pixels spike.
    """
    count, place = 0, 0
    ends[0] = 0
    for k in range(len(values)):
        one = level(values[k], inputs[0, 0, k], inputs[0, 1, k])
        two = one
        if windows[0, k] < windows[1, k]:
            two = level(values[k], inputs[1, 0, k], inputs[1, 1, k])
        if one == 0 and two == 0:
            continue
        behind = draw_train(key, k, one, two, windows[0, k], windows[1, k], steps, times, place)
        if behind > place:
            neurons[count] = k
            count += 1
            ends[count] = place = behind
    return count


@njit(cache=True)
def add_events(current, weights, count, neurons, ends, times):
    """Add to (steps, m) currents the rows of (n, m) weights of all events."""
    for a in range(count):
        i = neurons[a]
        for e in range(ends[a], ends[a + 1]):
            t = times[e]
            for j in range(weights.shape[1]):
                current[t, j] += weights[i, j]


@njit(cache=True)
def integrate(current, neurons, windows, membrane):
    """Potentials (steps, m) of neurons with (2, 4, m) parameters and (2, m) windows."""
    m, nothing = current.shape[1], current.dtype.type(0)
    for t in range(len(current)):
        for j in range(m):
            now = 1 if windows[0, j] <= t < windows[1, j] else 0
            u = neurons[now, GAIN, j] * current[t, j]
            if t:
                before = 1 if windows[0, j] <= t - 1 < windows[1, j] else 0
                kept = neurons[now, LEAK, j] * membrane[t - 1, j]
                u += nothing if membrane[t - 1, j] > neurons[before, THRESHOLD, j] else kept
            membrane[t, j] = u + neurons[now, OFFSET, j]


@njit(cache=True)
def fire(membrane, neurons, windows, spiking, ends, times):
    """Events of neurons with these potentials; returns how many spike."""
    count, place = 0, 0
    ends[0] = 0
    for j in range(membrane.shape[1]):
        for t in range(len(membrane)):
            now = 1 if windows[0, j] <= t < windows[1, j] else 0
            times[place] = t
            place += membrane[t, j] > neurons[now, THRESHOLD, j]
        if place > ends[count]:
            spiking[count] = j
            count += 1
            ends[count] = place
    return count
