"""Many faulty copies of a spiking network: what no fault has changed is computed once.

An image is encoded once for all chips, with the same random numbers, and its fault-free currents and trains
are kept. A chip draws the trains of its faulty inputs; a layer's currents are the fault-free ones plus the
rows of the trains that differ and the changes of its synapses. Where nothing differs, the layer is not
computed at all. Weights lie on a grid on which every sum of currents is exact, so differences give the bits
that a computation from the beginning gives.

Layers lie in flat arrays as in `lif_training`; trains are (neurons, steps) of 0 and 1, layer by layer, the
inputs first.

Slow, obvious twin: `tests/twins/spiking.py`, one chip at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from xbarsim.kernels.launch import ONE_LAUNCH
from xbarsim.kernels.lif import GAIN, OFFSET, THRESHOLD, draw_train, integrate, key_of, level


class ChipArrays(NamedTuple):
    """Faults of many chips.

    Attributes
    ----------
    input_ends : (chips + 1,), where each chip's faulty inputs end
    inputs, input_lines, input_windows : (faulty inputs,), (.., 2, 2) gain and offset outside and inside the
        window, (.., 2) first and last
    changed : (chips, layers), whether some neuron has other parameters
    neurons, windows : (chips, 8 M) and (chips, 2 M), layer by layer
    synapse_ends : (chips * layers + 1,), where the changed synapses of each layer of each chip end
    sources, targets, deltas, always, synapse_windows : of the changed synapses; (.., 2) first and last
    """

    input_ends: np.ndarray
    inputs: np.ndarray
    input_lines: np.ndarray
    input_windows: np.ndarray
    changed: np.ndarray
    neurons: np.ndarray
    windows: np.ndarray
    synapse_ends: np.ndarray
    sources: np.ndarray
    targets: np.ndarray
    deltas: np.ndarray
    always: np.ndarray
    synapse_windows: np.ndarray


def run_chips(images, names, sizes, weights, neurons, windows, inputs, input_windows, seed, steps, chips):
    """Spike counts of every chip.

    Parameters
    ----------
    images, names : (n, K) float64, and the number of each for its random numbers
    weights, neurons, windows, inputs, input_windows : of the fault-free network
    chips : `ChipArrays`

    Returns
    -------
    (chips, n, classes) int32
    """
    counts = np.zeros((len(chips.changed), len(images), sizes[-1]), np.int32)
    with ONE_LAUNCH:
        _run_chips(
            images, names, sizes, weights, neurons, windows, inputs, input_windows, np.uint64(seed), steps,
            *chips, counts,
        )  # fmt: skip
    return counts


@njit(parallel=True, cache=True)
def _run_chips(
    images, names, sizes, weights, neurons, windows, inputs, input_windows, seed, steps,
    input_ends, faulty_inputs, input_lines, faulty_windows, changed_layers, chip_neurons, chip_windows,
    synapse_ends, sources, targets, deltas, always, synapse_windows, counts,
):  # fmt: skip
    layers, widest, total = len(sizes) - 1, sizes.max(), sizes.sum()
    for n in prange(len(images)):
        healthy, faulty = np.zeros(total * steps, np.uint8), np.empty(total * steps, np.uint8)
        currents = np.empty((total - sizes[0]) * steps)
        potentials, space = np.empty(widest * steps), np.empty(widest * steps)
        times = np.empty(steps + 1, np.int16)
        changed, is_changed = np.empty(widest, np.int32), np.zeros(widest, np.uint8)
        key = key_of(seed, names[n])
        for k in range(sizes[0]):
            row = healthy[k * steps : (k + 1) * steps]
            _input_train(images[n, k], inputs[:, :, k], input_windows[:, k], key, k, steps, times, row)
        at = to = 0
        before, behind = 0, sizes[0]
        for layer in range(layers):
            k, m = sizes[layer], sizes[layer + 1]
            matrix = weights[at : at + k * m].reshape(k, m)
            current = currents[to * steps : (to + m) * steps].reshape(steps, m)
            current[:] = 0
            for i in range(k):
                for t in range(steps):
                    if healthy[(before + i) * steps + t]:
                        for j in range(m):
                            current[t, j] += matrix[i, j]
            trains = healthy[behind * steps : (behind + m) * steps].reshape(m, steps)
            membrane = potentials[: m * steps].reshape(steps, m)
            here, when = neurons[8 * to : 8 * (to + m)].reshape(2, 4, m), windows[2 * to : 2 * (to + m)]
            _spike(current, here, when.reshape(2, m), membrane, trains)
            at, to, before, behind = at + k * m, to + m, behind, behind + m

        for chip in range(len(changed_layers)):
            count = 0
            for f in range(input_ends[chip], input_ends[chip + 1]):
                k = faulty_inputs[f]
                row = faulty[k * steps : (k + 1) * steps]
                _input_train(
                    images[n, k], input_lines[f], faulty_windows[f], key, k, steps, times, row
                )  # fmt: skip
                if _differ(row, healthy[k * steps : (k + 1) * steps]):
                    changed[count] = k
                    count += 1
            at = to = 0
            before, behind = 0, sizes[0]
            for layer in range(layers):
                k, m = sizes[layer], sizes[layer + 1]
                first, last = synapse_ends[chip * layers + layer], synapse_ends[chip * layers + layer + 1]
                old = healthy[behind * steps : (behind + m) * steps].reshape(m, steps)
                new = faulty[behind * steps : (behind + m) * steps].reshape(m, steps)
                if count or last > first or changed_layers[chip, layer]:
                    matrix = weights[at : at + k * m].reshape(k, m)
                    current = space[: m * steps].reshape(steps, m)
                    current[:] = currents[to * steps : (to + m) * steps].reshape(steps, m)
                    for c in range(count):
                        i = changed[c]
                        is_changed[i] = 1
                        for t in range(steps):
                            place = (before + i) * steps + t
                            change = np.int64(faulty[place]) - np.int64(healthy[place])
                            if change:
                                for j in range(m):
                                    current[t, j] += change * matrix[i, j]
                    for e in range(first, last):
                        i, j = sources[e], targets[e]
                        for t in range(synapse_windows[e, 0], min(synapse_windows[e, 1], steps)):
                            place = (before + i) * steps + t
                            spikes = faulty[place] if is_changed[i] else healthy[place]
                            if always[e] and not spikes:
                                current[t, j] += matrix[i, j]
                            elif spikes and not always[e]:
                                current[t, j] += deltas[e]
                    for c in range(count):
                        is_changed[changed[c]] = 0
                    membrane = potentials[: m * steps].reshape(steps, m)
                    here = chip_neurons[chip, 8 * to : 8 * (to + m)].reshape(2, 4, m)
                    when = chip_windows[chip, 2 * to : 2 * (to + m)].reshape(2, m)
                    _spike(current, here, when, membrane, new)
                    count = 0
                    for j in range(m):
                        if _differ(old[j], new[j]):
                            changed[count] = j
                            count += 1
                at, to, before, behind = at + k * m, to + m, behind, behind + m
            for j in range(sizes[layers]):
                counts[chip, n, j] = old[j].sum()
            for c in range(count):
                counts[chip, n, changed[c]] = new[changed[c]].sum()


@njit(cache=True)
def _input_train(value, line, window, key, pixel, steps, times, train):
    """Write an input's train of 0 and 1."""
    train[:] = 0
    one = level(value, line[0, GAIN], line[0, OFFSET])
    two = one
    if window[0] < window[1]:
        two = level(value, line[1, GAIN], line[1, OFFSET])
    if one == 0 and two == 0:
        return
    for e in range(draw_train(key, pixel, one, two, window[0], window[1], steps, times, 0)):
        train[times[e]] = 1


@njit(cache=True)
def _spike(current, neurons, windows, membrane, trains):
    """Write the (m, steps) trains of neurons with these (steps, m) currents."""
    integrate(current, neurons, windows, membrane)
    steps, m = membrane.shape
    for t in range(steps):
        for j in range(m):
            now = 1 if windows[0, j] <= t < windows[1, j] else 0
            trains[j, t] = membrane[t, j] > neurons[now, THRESHOLD, j]


@njit(cache=True)
def _differ(one, two):
    found = False
    for t in range(len(one)):
        found |= one[t] != two[t]
    return found
