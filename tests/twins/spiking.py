"""Spiking networks, slow and obvious: integers and floats of Python, one neuron and one step at a time."""

import numpy as np

WORD = 2**64
GOLDEN = 0x9E3779B97F4A7C15


def mix(word):
    """splitmix64's finalizer."""
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % WORD
    return word ^ (word >> 31)


def uniform(seed, image, pixel, step):
    """The number in 0..2**32-1 that decides whether a pixel spikes at a step."""
    key = mix((mix(seed) + (image + 1) * GOLDEN) % WORD)
    state = mix((key + (pixel + 1) * GOLDEN) % WORD)
    word = mix((state + (step // 2 * 2) * GOLDEN) % WORD)
    return word >> 32 if step % 2 else word % 2**32


def input_spikes(pixels, effects, seed, image, steps):
    """(steps, K) of one image."""
    found = np.zeros((steps, len(pixels)))
    for t in range(steps):
        for k, value in enumerate(pixels):
            inside = effects.input_windows[0, k] <= t < effects.input_windows[1, k]
            gain, offset = effects.inputs[int(inside), :, k]
            share = gain * float(value) + offset
            level = 0 if share <= 0 else min(int(share * 2**32), 2**32)
            found[t, k] = uniform(seed, image, k, t) < level
    return found


def layer_spikes(spikes, weights, neurons, windows, changes):
    """(steps, m) of one layer of (n, m) weights, and its potentials."""
    steps, m = len(spikes), weights.shape[1]
    potential, fired = np.zeros(m), np.zeros(m)
    found, potentials = np.zeros((steps, m)), np.zeros((steps, m))
    for t in range(steps):
        acting = weights.copy()
        arriving = np.repeat(spikes[t][:, None], m, axis=1)
        for c in range(len(changes.source)):
            if changes.first[c] <= t < changes.last[c]:
                at = changes.source[c], changes.target[c]
                if changes.always[c]:
                    arriving[at] = 1
                else:
                    acting[at] = changes.weight[c]
        for j in range(m):
            inside = int(windows[0, j] <= t < windows[1, j])
            gain, offset, threshold, leak = neurons[inside, :, j]
            current = sum(arriving[:, j] * acting[:, j])
            kept = leak * potential[j] * (1 - fired[j])
            potential[j] = kept + gain * current + offset
            potentials[t, j] = potential[j]
            found[t, j] = potential[j] > threshold
        fired = found[t].copy()
    return found, potentials


def network_spikes(pixels, weights, effects, seed, image, steps):
    """Spikes of the inputs and of every layer for one image."""
    spikes = [input_spikes(pixels, effects, seed, image, steps)]
    for layer, matrix in enumerate(weights):
        found, _ = layer_spikes(
            spikes[-1], matrix, effects.neurons[layer], effects.windows[layer], effects.synapses[layer]
        )
        spikes.append(found)
    return spikes
