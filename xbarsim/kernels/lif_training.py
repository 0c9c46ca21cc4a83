"""A batch of images through a chain of spiking layers, and the gradient back.

Everything of a layer lies together, and the layers behind each other in one array: weights (n, m), parameters
of the neurons (2, 4, m), windows (2, m), potentials (steps, m). Trains are events, see `lif`.

Backward is that of the equations as they are written, with the surrogate 1 where |u - threshold| < 1/2 as the
derivative of a spike, also where a spike resets the potential. The sum over images is made in CHUNKS parts,
whatever the number of threads, so that it rounds the same.

Slow, obvious twin: `tests/twins/spiking.py`, and PyTorch's own gradient.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numba import njit, prange

from xbarsim.kernels.launch import ONE_LAUNCH
from xbarsim.kernels.lif import (
    GAIN,
    HALF_WIDTH,
    LEAK,
    OFFSET,
    THRESHOLD,
    add_events,
    encode,
    fire,
    integrate,
    key_of,
)

CHUNKS = 4


def forward(images, sizes, weights, currents, neurons, windows, inputs, input_windows, seed, steps, events):
    """Potentials of all neurons, and the spikes of the last layer.

    Parameters
    ----------
    images : (n, K) in [0, 1]
    sizes : (layers + 1,), of the inputs and of every layer
    weights, neurons, windows : layer by layer, see above
    currents : (M,), added to every neuron's current at every step
    inputs, input_windows : (2, 2, K) and (2, K)
    events : out: (n,), (n, K), (n, K + 1), (n, K * steps + 1), the events of the inputs

    Returns
    -------
    membrane : (n, steps * M), layer by layer
    counts : (n, classes), spikes of each output
    """
    n, last = len(images), sizes[-1]
    membrane = np.empty((n, steps * len(currents)), weights.dtype)
    counts = np.empty((n, last), weights.dtype)
    with ONE_LAUNCH:
        _forward(
            images, sizes, weights, currents, neurons, windows, inputs, input_windows, np.uint64(seed), steps,
            *events, membrane, counts,
        )  # fmt: skip
    return membrane, counts


def spikes_of(images, inputs, input_windows, seed, steps):
    """(steps, n, K) uint8: the inputs' spikes, which `forward` would draw."""
    n, size = images.shape
    found = np.zeros((steps, n, size), np.uint8)
    with ONE_LAUNCH:
        _spikes_of(images, inputs, input_windows, np.uint64(seed), steps, found, *event_space(n, size, steps))
    return found


@njit(parallel=True, cache=True)
def _spikes_of(images, inputs, input_windows, seed, steps, found, count, spiking, ends, times):
    for i in prange(len(images)):
        count[i] = encode(
            images[i], inputs, input_windows, key_of(seed, i), steps, spiking[i], ends[i], times[i]
        )
        for a in range(count[i]):
            for e in range(ends[i, a], ends[i, a + 1]):
                found[times[i, e], i, spiking[i, a]] = 1


def event_space(n, size, steps):
    """Room for the events of a layer of `n` images."""
    return (
        np.empty(n, np.int32),
        np.empty((n, size), np.int32),
        np.empty((n, size + 1), np.int32),
        np.empty((n, size * steps + 1), np.int16),
    )


@njit(parallel=True, cache=True)
def _forward(
    images, sizes, weights, currents, neurons, windows, inputs, input_windows, seed, steps,
    count, spiking, ends, times, membrane, counts,
):  # fmt: skip
    widest = sizes.max()
    for i in prange(len(images)):
        count[i] = encode(
            images[i], inputs, input_windows, key_of(seed, i), steps, spiking[i], ends[i], times[i]
        )
        others = np.empty(widest, np.int32), np.empty(widest + 1, np.int32)
        steps_of = np.empty(widest * steps + 1, np.int16)
        space = np.empty(widest * steps, weights.dtype)
        found = count[i]
        at = to = 0
        for layer in range(len(sizes) - 1):
            k, m = sizes[layer], sizes[layer + 1]
            matrix = weights[at : at + k * m].reshape(k, m)
            current = space[: steps * m].reshape(steps, m)
            for t in range(steps):
                for j in range(m):
                    current[t, j] = currents[to + j]
            if layer == 0:
                add_events(current, matrix, found, spiking[i], ends[i], times[i])
            else:
                add_events(current, matrix, found, others[0], others[1], steps_of)
            here, when = _of_layer(neurons, windows, to, m)
            potentials = membrane[i, steps * to : steps * (to + m)].reshape(steps, m)
            integrate(current, here, when, potentials)
            found = fire(potentials, here, when, others[0], others[1], steps_of)
            at += k * m
            to += m
        counts[i] = 0
        for a in range(found):
            counts[i, others[0][a]] = others[1][a + 1] - others[1][a]


@njit(cache=True)
def _of_layer(neurons, windows, to, m):
    """Parameters (2, 4, m) and windows (2, m) of the layer that begins with neuron `to`."""
    return neurons[8 * to : 8 * (to + m)].reshape(2, 4, m), windows[2 * to : 2 * (to + m)].reshape(2, m)


def backward(
    gradient, images, sizes, weights, neurons, windows, inputs, input_windows, events, membrane, *, to_images
):  # fmt: skip
    """Gradients of the weights and of the currents; of the images too if they are wanted, straight through.

    Parameters
    ----------
    gradient : (n, classes), of the spike counts

    Returns
    -------
    weights : as `weights`
    currents : (M,)
    images : (n, K); empty if not wanted. A probability's gradient is that of its spikes, where it is not
        clipped
    """
    n, total = len(images), sizes[1:].sum()
    steps = membrane.shape[1] // total
    parts = np.zeros((CHUNKS, len(weights)), weights.dtype)
    sums = np.zeros((CHUNKS, total), weights.dtype)
    of_images = np.zeros((n if to_images else 0, images.shape[1]), weights.dtype)
    with ONE_LAUNCH:
        _backward(
            gradient, images, sizes, weights, _transposed(weights, sizes), neurons, windows, inputs,
            input_windows, *events, membrane, steps, parts, sums, of_images,
        )  # fmt: skip
    return parts.sum(0), sums.sum(0), of_images


def _transposed(weights, sizes):
    """The same matrices, each transposed; the first one, which is not needed, as it is."""
    turned, at = weights.copy(), sizes[0] * sizes[1]
    for k, m in pairwise(sizes[1:]):
        turned[at : at + k * m].reshape(m, k)[:] = weights[at : at + k * m].reshape(k, m).T
        at += k * m
    return turned


@njit(parallel=True, cache=True)
def _backward(
    gradient, images, sizes, weights, turned, neurons, windows, inputs, input_windows, count, spiking, ends,
    times, membrane, steps, parts, sums, of_images,
):  # fmt: skip
    layers, widest, n = len(sizes) - 1, sizes.max(), len(gradient)
    for chunk in prange(CHUNKS):
        others = np.empty(widest, np.int32), np.empty(widest + 1, np.int32)
        steps_of = np.empty(widest * steps + 1, np.int16)
        spikes_space = np.empty(steps * widest, weights.dtype)
        slopes_space = np.empty(steps * widest, weights.dtype)
        for i in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            of_spikes = spikes_space[: steps * sizes[layers]].reshape(steps, sizes[layers])
            of_spikes[:] = gradient[i]
            at, to = len(weights), sums.shape[1]
            for back in range(layers):
                layer = layers - 1 - back
                k, m = sizes[layer], sizes[layer + 1]
                at -= k * m
                to -= m
                here, when = _of_layer(neurons, windows, to, m)
                potentials = membrane[i, steps * to : steps * (to + m)].reshape(steps, m)
                slopes = slopes_space[: steps * m].reshape(steps, m)
                _through_neurons(of_spikes, potentials, here, when, slopes)
                for t in range(steps):
                    for j in range(m):
                        sums[chunk, to + j] += slopes[t, j]
                matrix = weights[at : at + k * m].reshape(k, m)
                part = parts[chunk, at : at + k * m].reshape(k, m)
                if layer == 0:
                    _outer(part, slopes, count[i], spiking[i], ends[i], times[i])
                    if len(of_images):
                        _to_image(of_images[i], matrix, slopes, images[i], inputs, input_windows)
                else:
                    here, when = _of_layer(neurons, windows, to - k, k)
                    potentials = membrane[i, steps * (to - k) : steps * to].reshape(steps, k)
                    found = fire(potentials, here, when, others[0], others[1], steps_of)
                    _outer(part, slopes, found, others[0], others[1], steps_of)
                    of_spikes = spikes_space[: steps * k].reshape(steps, k)
                    _to_spikes(of_spikes, turned[at : at + k * m].reshape(m, k), slopes)


@njit(cache=True)
def _through_neurons(of_spikes, membrane, neurons, windows, of_current):
    """From the gradient of (steps, m) spikes to that of the currents, back through time."""
    steps, m = membrane.shape
    nothing, half = membrane.dtype.type(0), membrane.dtype.type(HALF_WIDTH)
    for t in range(steps - 1, -1, -1):
        for j in range(m):
            now = 1 if windows[0, j] <= t < windows[1, j] else 0
            later = 1 if windows[0, j] <= t + 1 < windows[1, j] else 0
            u, threshold = membrane[t, j], neurons[now, THRESHOLD, j]
            # of u at t + 1, in units of the current's
            behind = of_current[t + 1, j] * neurons[later, LEAK, j] if t + 1 < steps else nothing
            slope = of_spikes[t, j] - behind * u
            passed = slope if abs(u - threshold) < half else nothing
            of_current[t, j] = passed + (nothing if u > threshold else behind)
    for t in range(steps):
        for j in range(m):
            now = 1 if windows[0, j] <= t < windows[1, j] else 0
            of_current[t, j] *= neurons[now, GAIN, j]


@njit(cache=True)
def _outer(part, slopes, count, spiking, ends, times):
    """Add the gradient of (n, m) weights: for every event its neuron's row."""
    for a in range(count):
        i = spiking[a]
        for e in range(ends[a], ends[a + 1]):
            t = times[e]
            for j in range(part.shape[1]):
                part[i, j] += slopes[t, j]


@njit(cache=True)
def _to_spikes(of_spikes, transposed, slopes):
    """Gradient of (steps, n) spikes, from that of the currents and the (m, n) transposed weights."""
    n = of_spikes.shape[1]
    of_spikes[:] = 0
    for t in range(len(slopes)):
        for j in range(slopes.shape[1]):
            slope = slopes[t, j]
            for i in range(n):
                of_spikes[t, i] += transposed[j, i] * slope


@njit(cache=True)
def _to_image(of_image, matrix, slopes, image, inputs, windows):
    """Gradient of the pixels: the sum of their spikes' over the steps, where a probability is not clipped."""
    steps, m = slopes.shape
    before = np.zeros((steps + 1, m), slopes.dtype)  # sums over the steps before t
    for t in range(steps):
        for j in range(m):
            before[t + 1, j] = before[t, j] + slopes[t, j]
    for k in range(len(matrix)):
        outer, inner = _slope(image[k], inputs[0, :, k]), _slope(image[k], inputs[1, :, k])
        first, last = min(windows[0, k], steps), min(windows[1, k], steps)
        value = 0.0
        for j in range(m):
            inside = before[last, j] - before[first, j]
            value += matrix[k, j] * (outer * (before[steps, j] - inside) + inner * inside)
        of_image[k] = value


@njit(cache=True)
def _slope(value, line):
    """The derivative of a pixel's probability of a spike, of gain and offset."""
    share = line[GAIN] * value + line[OFFSET]
    return line[GAIN] if 0.0 <= share <= 1.0 else 0.0
