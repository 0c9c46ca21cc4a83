"""Faults as differences: what a change of one layer's activations does to the layers behind it, and no more.

For a batch of images the fault-free activations and raw sums of every layer are known. A fault changes
some bits of one layer's output; each changed bit adds or takes away one row of the next layer's weights at
the windows that see it; sums that cross no threshold end the difference there, and the others are the
changed bits of the next layer. Where so many bits of a window change that counting it anew is less work, it
is counted.

Changed bits are a list of *entries* in raster order of the pixels, with the first entry of every pixel
beside it. An entry is the place of the row it adds, counted from the row of the leftmost column of the
window; so the entries of neighbouring pixels of a line serve every window after one subtraction.

Slow, obvious twin: a plain run of the faulty design; `tests/twins/finn.py`.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from xbarsim.kernels.lanes import (
    MOST_WORDS,
    add_rows,
    add_window,
    add_window_2,
    add_window_4,
    copy_lanes,
    count_common,
    count_differing,
    keep_larger,
    lowest_bit,
)
from xbarsim.kernels.launch import ONE_LAUNCH
from xbarsim.kernels.layout import (
    BLOCKS,
    DENSE,
    INITIAL_AT,
    INPUT_AT,
    KERNEL_COLUMNS,
    KERNEL_ROWS,
    LANES,
    LIMIT,
    OFFSETS_AT,
    OUTPUT_PLANES,
    OUTPUTS,
    PIXELS,
    PLANES,
    POOL,
    ROWS_AT,
    SUMS_AT,
    THRESHOLDS,
    THRESHOLDS_AT,
    VARIANT,
    WEIGHT_PLANES,
    WEIGHTS_AT,
    WIDTH,
    WINDOWS_AT,
    WORDS,
)
from xbarsim.kernels.mvtu import write_codes


def propagate(words, sums, chain, layer, forced, given, classes, same):
    """The classes that faults lead to, in parallel over images.

    Parameters
    ----------
    words : (n, words) int64, the inputs of layers 1 .. of every image, fault-free
    sums : (n, sums) T, their raw sums, fault-free
    layer : (faults,) int64, the first layer whose output a fault changes
    forced : how it changes it
    given : (m, n, words) int64, changed outputs of layers that no mask describes
    classes : (faults, n) int32, fault-free; overwritten where a difference reaches the class scores
    same : (faults, n) bool, true; overwritten there: no class score differs
    """
    with ONE_LAUNCH:
        _propagate(words, sums, chain, layer, forced, given, classes, same)


@njit(cache=True)
def _note(entries, count, old, new, place, lanes, variant):
    """Append the changed bits of one word; returns the new count."""
    changed = old ^ new
    while changed:
        bit = lowest_bit(changed)
        falling = (old >> bit) & 1
        entries[count] = place + bit * lanes + falling * variant
        count += 1
        changed &= changed - 1
    return count


@njit(cache=True)
def _begin(words, i, new, entries, starts, chain, m, f, forced, given):
    """The changed input of layer m; returns how many entries it has, and the most of one pixel."""
    layer = chain.layers[m]
    at, blocks, planes, lanes, variant = (
        layer[INPUT_AT],
        layer[BLOCKS],
        layer[PLANES],
        layer[LANES],
        layer[VARIANT],
    )
    masks, only, listed = forced.place[f, m - 1], forced.pixel[f], forced.given[f]
    count = most = 0
    for pixel in range(layer[PIXELS]):
        starts[pixel] = count
        column = pixel % layer[WIDTH]
        for word in range(planes * blocks):
            place = pixel * planes * blocks + word
            old = words[i, at + place]
            changed = old
            if listed >= 0:
                changed = given[listed, i, place]
            elif only < 0 or only == pixel:
                changed = (old & forced.keep[masks + word]) | forced.force[masks + word]
            new[at + place] = changed
            if changed != old:
                first = (column * blocks + word % blocks) * 64 * lanes + word // blocks * 2 * variant
                count = _note(entries, count, old, changed, first, lanes, variant)
        most = max(most, count - starts[pixel])
    starts[layer[PIXELS]] = count
    return count, most


@njit(cache=True)
def _count_anew(found, at, new, chain, layer, window):
    """The raw sums of a window of changed words, from the beginning."""
    planes, blocks, lanes = layer[PLANES], layer[BLOCKS], layer[LANES]
    words, offsets = layer[WORDS], chain.offsets[layer[OFFSETS_AT] : layer[OFFSETS_AT] + layer[WORDS]]
    start = layer[INPUT_AT] + chain.corners[window] * planes * blocks
    for block in range(lanes // 64):
        to = at + block * 64
        copy_lanes(found, to, chain.initial, layer[INITIAL_AT] + block * 64)
        for p in range(planes):
            x = start + p * blocks
            for q in range(max(1, layer[WEIGHT_PLANES])):
                place = layer[WEIGHTS_AT] + (q * (lanes // 64) + block) * words * 512
                for k in range(0, words, MOST_WORDS):
                    end = min(k + MOST_WORDS, words)
                    if layer[WEIGHT_PLANES] == 0:
                        worth = -(1 << p)
                        count_differing(found, to, worth, new, x, 0, offsets, k, end, chain.weights, place)
                    else:
                        worth = 1 << (p + q)
                        if q == layer[WEIGHT_PLANES] - 1:
                            worth = -worth
                        count_common(found, to, worth, new, x, 0, offsets, k, end, chain.weights, place)


@njit(cache=True)
def _add_many(
    found, at, sums, source, rows, row, entries, starts, pixel, across, down, width, step, lanes, limit
):
    """The same for more entries than add up in the rows' type: so many at a time."""
    for block in range(0, lanes, 64):
        copy_lanes(found, at + block, sums, source + block)
        for y in range(down):
            first, end = starts[pixel + y * width], starts[pixel + y * width + across]
            for k in range(first, end, limit):
                last, place = min(k + limit, end), row + y * step + block
                add_rows(found, at + block, rows, place, entries, k, last)


# fmt: off
@njit(cache=True)
def _step(
    words, i, sums, sums_at, new, found, entries, starts, most, after, after_starts, chain, m, f, forced
):
    """Carry the entries through layer m, to those of layer m + 1 or to the last layer's sums in `found`.

    Returns how many entries are left, and the most of one pixel. One long loop, because a call would cost
    more than a window does.
    """
    layer, is_last = chain.layers[m], m + 1 == len(chain.layers)
    behind = chain.layers[m if is_last else m + 1]
    lanes, pool, planes, width = layer[LANES], layer[POOL], layer[OUTPUT_PLANES], layer[WIDTH]
    across, down, limit, dense = layer[KERNEL_COLUMNS], layer[KERNEL_ROWS], layer[LIMIT], layer[DENSE]
    pitch, source = layer[BLOCKS] * 64 * lanes, sums_at + layer[SUMS_AT]
    step, window, first_row = across * pitch, layer[WINDOWS_AT], layer[ROWS_AT]
    blocks, out_words = behind[BLOCKS], behind[PLANES] * behind[BLOCKS]
    out_pitch, out_line, variant = 64 * behind[LANES], behind[WIDTH], behind[VARIANT]
    corners, columns, rows, thresholds = chain.corners, chain.columns, chain.rows, chain.thresholds
    masks, count, most_after = forced.place[f, m], 0, 0
    few, reach = most * across * down <= min(limit, dense), (down - 1) * width + across
    for pixel in range(layer[OUTPUTS]):
        seen = 0
        for j in range(pool):
            # the lines in between belong to it: this may see too much, never too little
            seen += starts[corners[window + j] + reach] - starts[corners[window + j]]
        for j in range(pool if seen else 0):
            corner, of, at, own = corners[window + j], source + j * lanes, j * lanes, 0
            row = first_row - columns[window + j] * pitch
            for y in range(0 if few else down):
                own += starts[corner + y * width + across] - starts[corner + y * width]
            if own > dense:
                _count_anew(found, at, new, chain, layer, window + j)
            elif own > limit:
                _add_many(
                    found, at, sums, of, rows, row, entries, starts, corner, across, down, width, step, lanes,
                    limit,
                )
            else:
                block = 0
                while block < lanes:
                    to, base, start = at + block, of + block, row + block
                    if lanes - block >= 256:
                        add_window_4(
                            found, to, sums, base, rows, start, entries, starts, corner, across, down, width,
                            step,
                        )
                        block += 256
                    elif lanes - block >= 128:
                        add_window_2(
                            found, to, sums, base, rows, start, entries, starts, corner, across, down, width,
                            step,
                        )
                        block += 128
                    else:
                        add_window(
                            found, to, sums, base, rows, start, entries, starts, corner, across, down, width,
                            step,
                        )
                        block += 64
        window += pool
        source += pool * lanes
        if is_last:
            break
        after_starts[pixel] = count
        place = behind[INPUT_AT] + pixel * out_words
        if seen:
            for j in range(1, pool):
                for lane in range(0, lanes, 64):
                    keep_larger(found, lane, found, j * lanes + lane)
            first, last = layer[THRESHOLDS_AT], layer[THRESHOLDS]
            write_codes(new, place, found, 0, thresholds, first, last, lanes, planes)
        else:
            for word in range(out_words):
                new[place + word] = words[i, place + word]
        for word in range(out_words):
            now, old = new[place + word], words[i, place + word]
            if masks >= 0:
                now = (now & forced.keep[masks + word]) | forced.force[masks + word]
                new[place + word] = now
            if now != old:
                origin = (pixel % out_line * blocks + word % blocks) * out_pitch
                origin += word // blocks * 2 * variant
                count = _note(after, count, old, now, origin, behind[LANES], variant)
        most_after = max(most_after, count - after_starts[pixel])
    after_starts[layer[OUTPUTS]] = count
    return count, most_after


@njit(cache=True)
def _largest(found, chain):
    """The class of the last layer's raw sums: the first largest score above the floor, else 0."""
    floor, gain, largest, best = chain.head[0], chain.head[1], np.int64(-(2**62)), 0
    for place in range(chain.classes):
        score = gain * found[place] + chain.head[2 + place]
        if score > largest:
            best, largest = place, score
    return best if largest > floor else 0


@njit(cache=True)
def _finish(sums, sums_at, found, chain):
    """Class of the last layer's sums in `found`, and whether every class score is the fault-free one."""
    layer, same = chain.layers[-1], True
    at, lanes, planes = sums_at + layer[SUMS_AT], layer[LANES], layer[OUTPUT_PLANES]
    if len(chain.head):
        for place in range(chain.classes):
            same &= found[place] == sums[at + place]
        return _largest(found, chain), same
    first, count, best = layer[THRESHOLDS_AT], layer[THRESHOLDS], 0
    before, after = np.zeros(planes * (lanes // 64), np.int64), np.zeros(planes * (lanes // 64), np.int64)
    write_codes(after, 0, found, 0, chain.thresholds, first, count, lanes, planes)
    write_codes(before, 0, sums, at, chain.thresholds, first, count, lanes, planes)
    for place in range(chain.classes):
        for plane in range(planes):
            word, bit = plane * (lanes // 64) + place // 64, place % 64
            same &= ((before[word] ^ after[word]) >> bit) & 1 == 0
            if (after[word] >> bit) & 1:
                best = place
    return best, same


@njit(cache=True)
def _scratch(chain):
    """Most entries, lanes and pixels of any layer."""
    most = widest = pixels = 0
    for m in range(1, len(chain.layers)):
        layer = chain.layers[m]
        most = max(most, layer[PIXELS] * layer[PLANES] * layer[BLOCKS] * 64)
        widest = max(widest, layer[POOL] * layer[LANES])
        pixels = max(pixels, layer[PIXELS])
    return most, widest, pixels


@njit(cache=True)
def _last_forced(forced, f, first):
    """The last layer that a fault's masks change, at least `first`."""
    found = first
    for m in range(first, forced.place.shape[1]):
        if forced.place[f, m] >= 0:
            found = m
    return found


@njit(cache=True, parallel=True, error_model="numpy")
def _propagate(words, sums, chain, first, forced, given, classes, same):
    last = len(chain.layers) - 1
    widest_list, widest, pixels = _scratch(chain)
    flat, size = sums.reshape(-1), sums.shape[1]
    for i in prange(len(words)):
        new, found, at = np.empty(words.shape[1], np.int64), np.empty(widest, chain.initial.dtype), i * size
        entries, after = np.empty(widest_list, np.int32), np.empty(widest_list, np.int32)
        starts, after_starts = np.empty(pixels + 1, np.int32), np.empty(pixels + 1, np.int32)
        for f in range(len(first)):
            m = first[f] + 1
            count, most = _begin(words, i, new, entries, starts, chain, m, f, forced, given)
            until = _last_forced(forced, f, m - 1)
            while m <= last and (count > 0 or m <= until):
                reached = count > 0 and m == last
                count, most = _step(
                    words, i, flat, at, new, found, entries, starts, most, after, after_starts, chain, m, f,
                    forced,
                )
                if reached:
                    classes[f, i], same[f, i] = _finish(flat, at, found, chain)
                entries, after = after, entries
                starts, after_starts = after_starts, starts
                m += 1
