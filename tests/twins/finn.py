"""Slow, obvious twin of the FINN engine: one window, one row, one threshold at a time.

`run_network` is a healthy network, straight from the matrices. `run_faulty` is an array of PEs with words in
memories, lanes and accumulators, and faults that sit on their bits.
"""

from __future__ import annotations

import math

import numpy as np

from xbarsim.faults.pe import PeFaultKind


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


def run_faulty(network, images, faults, shared=None):
    """Scores and classes of every image on an accelerator with faults, all present together.

    Of two faults that contradict each other the later one wins; a pixel wins over a channel or a PE.

    Parameters
    ----------
    shared : the array of a loopback accelerator, with `pe` and `simd`, that all layers are folded over
    """
    scores = []
    for number, codes in enumerate(pixel_codes(network, images)):
        present = [f for f in faults if f.image in (-1, number)]
        for place, layer in enumerate(network.layers):
            own = [f for f in present if f.layer in (place, -1)]
            array = layer if shared is None else shared
            sums, codes = run_faulty_layer(layer, codes, own, array.pe, array.simd)
        found = sums if layer.thresholds is None else codes
        scores.append([int(v) for v in found.reshape(-1)])
    return scores, [read_class(network.head, row) for row in scores]


def run_faulty_layer(layer, codes, faults, pes, simd):
    """Sums (down, across, rows) and codes after pooling of one image, None without thresholds.

    Parameters
    ----------
    pes, simd : the folding; where it does not divide the layer, the last fold has idle PEs or lanes
    """
    weights, thresholds = weight_memory(layer, pes, simd), threshold_memory(layer, pes)
    for f in faults:
        if f.kind == PeFaultKind.weight:
            weights[f.unit][f.word] = stuck_bit(weights[f.unit][f.word], f.bit, f.value)
        if f.kind == PeFaultKind.threshold:
            thresholds[f.unit][f.word] = stuck_bit(thresholds[f.unit][f.word], f.bit, f.value)
    values = layer.input.low + layer.input.step * codes
    (kh, kw), (sy, sx), (down, across) = layer.kernel, layer.stride, layer.positions
    sums = np.zeros((down, across, layer.rows), np.int64)
    out = np.zeros_like(sums)
    for y, x in np.ndindex(down, across):
        window = values[y * sy : y * sy + kh, x * sx : x * sx + kw].reshape(-1).tolist()
        for pe in range(pes):
            own = [f for f in faults if f.unit == pe]
            for fold in range(folds_of(layer.rows, pes)):
                row = fold * pes + pe
                if row < layer.rows:
                    total = faulty_sum(layer, fold, weights[pe], window, own, simd)
                    sums[y, x, row] = faulty_accumulator(layer, row, total, own)
                    if layer.thresholds is not None:
                        out[y, x, row] = faulty_code(layer, fold, sums[y, x, row], thresholds[pe], own)
    if layer.thresholds is None:
        return sums, None
    for f in faults:
        if f.kind == PeFaultKind.channel:
            out[:, :, f.unit] = code_of(layer.output, f.value)
        if f.kind == PeFaultKind.pe:
            out[:, :, f.unit :: pes] = code_of(layer.output, f.value)
    p = layer.pool
    out = out.reshape(down // p, p, across // p, p, layer.rows).max(axis=(1, 3))
    for f in faults:
        if f.kind == PeFaultKind.pixel:
            out[f.unit // (across // p), f.unit % (across // p), :] = code_of(layer.output, f.value)
    return sums, out


def faulty_sum(layer, fold, words, window, faults, simd):
    """What a PE has added up after the last fold of columns, without the bias."""
    total, steps = 0, folds_of(layer.columns, simd)
    for step in range(steps):
        word = words[fold * steps + step]
        for lane in range(simd):
            column = step * simd + lane
            if column >= layer.columns:
                break
            product = weight_in(word, lane, layer.weight_bits) * window[column]
            for f in faults:
                if f.kind == PeFaultKind.lane and f.word == lane:
                    product = f.value
            if layer.accumulates == "agreement":
                total += 1 if product == 1 else 0
            else:
                total += product * 2**layer.accumulator_shift
    return total


def faulty_accumulator(layer, row, total, faults):
    """The accumulator that the thresholds see, or the host where there are none."""
    value, bits = total if layer.bias is None else total + int(layer.bias[row]), layer.accumulator_bits
    for f in faults:
        if f.kind == PeFaultKind.accumulator:
            value = from_word(stuck_bit(to_word(value, bits), f.bit, f.value), bits)
    return value


def faulty_code(layer, fold, value, words, faults):
    """How many thresholds of a PE's memory an accumulator exceeds."""
    top, bits = layer.output.top, layer.threshold_bits
    limits = [from_word(word, bits) for word in words[fold * top : (fold + 1) * top]]
    return sum(1 for t in limits if t < value or (layer.inclusive and t == value))


def folds_of(size, count):
    """How often so many units are used for a size."""
    return math.ceil(size / count)


def weight_memory(layer, pes, simd):
    """Words of every PE: [PE][nf * SF + sf], lane i at bits i * wb ..; 0 where there is nothing."""
    bits, memory = layer.weight_bits, [[] for _ in range(pes)]
    for pe in range(pes):
        for fold in range(folds_of(layer.rows, pes)):
            for step in range(folds_of(layer.columns, simd)):
                row, word = fold * pes + pe, 0
                for lane in range(simd):
                    column = step * simd + lane
                    if row < layer.rows and column < layer.columns:
                        weight = int(layer.weights[row, column])
                        code = int(weight == 1) if bits == 1 else to_word(weight, bits)
                        word |= code << (lane * bits)
                memory[pe].append(word)
    return memory


def threshold_memory(layer, pes):
    """Words of every PE: [PE][nf * thresholds + threshold], in two's complement; 0 where there is nothing."""
    memory = [[] for _ in range(pes)]
    if layer.thresholds is not None:
        for pe in range(pes):
            for fold in range(folds_of(layer.rows, pes)):
                row = fold * pes + pe
                limits = layer.thresholds[row].tolist() if row < layer.rows else [0] * layer.output.top
                memory[pe] += [to_word(t, layer.threshold_bits) for t in limits]
    return memory


def weight_in(word, lane, bits):
    """The weight of one lane."""
    code = (word >> (lane * bits)) % 2**bits
    return 2 * code - 1 if bits == 1 else from_word(code, bits)


def stuck_bit(word, bit, value):
    """A word with one bit at 0 or 1."""
    return word | 1 << bit if value else word & ~(1 << bit)


def to_word(value, bits):
    """A number in two's complement."""
    return value % 2**bits


def from_word(word, bits):
    """The number that a word in two's complement is."""
    return word - 2**bits if word >= 2 ** (bits - 1) else word


def code_of(stream, value):
    """The code that means an activation."""
    return [stream.low + stream.step * code for code in range(stream.top + 1)].index(value)
