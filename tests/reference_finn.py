"""Slow, obvious twin of the FINN engine: one window, one row, one threshold at a time."""

from __future__ import annotations

import math

import numpy as np


def pixel_codes(network, images):
    """Codes (N, height, width, channels) that enter the first layer, from the formulas of the boards."""
    kind, bits = network.pixels.kind, network.pixels.bits
    found = np.zeros(images.shape, np.int64)
    for place, pixel in np.ndenumerate(images):
        c = int(pixel)
        if kind == "bipolar":
            found[place] = 1 if c >= 128 else 0
        elif kind == "unsigned":
            found[place] = c // 2 ** (8 - bits)
        else:
            half = 2 ** (bits - 1)
            value = math.floor(half * (2 * c / 255 - 1) + 0.5)
            found[place] = min(max(value, -half), half - 1) + half
    first = network.layers[0]
    if first.shape != network.image:
        line = found.reshape(len(found), -1)
        padded = np.zeros((len(found), first.shape[2]), np.int64)
        padded[:, : line.shape[1]] = line
        return padded.reshape(len(found), *first.shape)
    return found


def accumulator(layer, row, window):
    """The accumulator of one row for the values of one window, in the order of the columns."""
    weights = [int(w) for w in layer.weights[row]]
    if layer.accumulates == "agreement":
        total = sum(1 for w, a in zip(weights, window, strict=True) if w == a)
    else:
        total = sum(w * a for w, a in zip(weights, window, strict=True)) * 2**layer.accumulator_shift
    return total if layer.bias is None else total + int(layer.bias[row])


def activation(layer, row, value):
    """How many thresholds of a row an accumulator exceeds."""
    if layer.inclusive:
        return sum(1 for t in layer.thresholds[row] if t <= value)
    return sum(1 for t in layer.thresholds[row] if t < value)


def run_layer(layer, codes):
    """Accumulators (N, down, across, rows) and codes after pooling, None without thresholds."""
    values = layer.input.low + layer.input.step * codes
    (kh, kw), (sy, sx), (down, across) = layer.kernel, layer.stride, layer.positions
    sums = np.zeros((len(codes), down, across, layer.rows), np.int64)
    for n, y, x in np.ndindex(len(codes), down, across):
        window = values[n, y * sy : y * sy + kh, x * sx : x * sx + kw].reshape(-1).tolist()
        for row in range(layer.rows):
            sums[n, y, x, row] = accumulator(layer, row, window)
    if layer.thresholds is None:
        return sums, None
    out = np.zeros_like(sums)
    for place, value in np.ndenumerate(sums):
        out[place] = activation(layer, place[3], value)
    p = layer.pool
    return sums, out.reshape(len(out), down // p, p, across // p, p, layer.rows).max(axis=(2, 4))


def run_network(network, images):
    """Accumulators of every layer and the classes."""
    codes, found = pixel_codes(network, images), []
    for layer in network.layers:
        sums, codes = run_layer(layer, codes)
        found.append(sums)
    scores = (sums if codes is None else codes).reshape(len(images), -1)
    return found, [read_class(network.head, row.tolist()) for row in scores]


def read_class(head, scores):
    """What the host makes of the last layer's scores."""
    shown = scores[: head.classes]
    if head.kind == "highest-bit":
        return max((place for place, bit in enumerate(shown) if bit > 0), default=0)
    if head.floor is not None and max(shown) <= head.floor:
        return 0
    return shown.index(max(shown))
