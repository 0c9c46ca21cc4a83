"""Slow, obvious twins of the fast paths: plain loops over arrays, cells, cycles and slices."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from xbarsim.crossbar.config import ArrayConfig
from xbarsim.kernels.analog import COS, LOG, PER_CELL, QUIET, SIN


def digits_of(weight: int, config: ArrayConfig) -> list[int]:
    """Cell levels of one weight, in column order."""
    form = config.format
    bits, base = form.weight_bits, form.levels

    def expand(value: int, count: int) -> list[int]:
        return [(value // base**d) % base for d in range(count)]

    if form.encoding == "offset":
        return expand(weight + 2 ** (bits - 1), -(-bits // form.cell_bits))
    if form.encoding == "twos_complement":
        return expand(weight % 2**bits, bits)
    half = -(-(bits - 1) // form.cell_bits)
    return expand(max(weight, 0), half) + expand(max(-weight, 0), half)


def column_worth(config: ArrayConfig) -> list[int]:
    """What one level of each digit is worth."""
    form = config.format
    if form.encoding == "offset":
        return [form.levels**d for d in range(-(-form.weight_bits // form.cell_bits))]
    if form.encoding == "twos_complement":
        return [2**d for d in range(form.weight_bits - 1)] + [-(2 ** (form.weight_bits - 1))]
    half = -(-(form.weight_bits - 1) // form.cell_bits)
    return [form.levels**d for d in range(half)] + [-(form.levels**d) for d in range(half)]


def bit_serial_product(
    weights: np.ndarray,
    inputs: np.ndarray,
    config: ArrayConfig,
    signed: bool,
    faults: dict[tuple[int, int, int], tuple[str, int]],
) -> np.ndarray:
    """The whole chain, one column, one cycle at a time.

    `faults` maps (k, m, digit) to (kind, value); kinds as in FaultKind.
    """
    top = config.format.levels - 1
    worth = column_worth(config)
    k_total, m_total = weights.shape
    result = np.zeros((len(inputs), m_total), dtype=object)
    for first in range(0, k_total, config.rows):
        rows = range(first, min(first + config.rows, k_total))
        for m in range(m_total):
            digits = {k: digits_of(int(weights[k, m]), config) for k in rows}
            for d in range(len(worth)):
                levels = [digits[k][d] for k in rows]
                inverted = config.inverted_storage and sum(levels) > len(levels) * top / 2
                if inverted:
                    levels = [top - level for level in levels]
                levels = [
                    faulty_level(level, faults.get((k, m, d)), top)
                    for k, level in zip(rows, levels, strict=True)
                ]
                for n, vector in enumerate(inputs):
                    x = [int(vector[k]) for k in rows]
                    column = stream_column(x, levels, config, signed)
                    if inverted:
                        column = top * sum(x) - column
                    result[n, m] += worth[d] * column
            if config.format.encoding == "offset":
                for n, vector in enumerate(inputs):
                    result[n, m] -= 2 ** (config.format.weight_bits - 1) * sum(int(vector[k]) for k in rows)
    return np.array([[math.floor(value + Fraction(1, 2)) for value in row] for row in result], np.int64)


def packed_product(
    weights: np.ndarray,
    inputs: np.ndarray,
    config: ArrayConfig,
    signed: bool,
    faults: dict[tuple[int, int], tuple[str, int]],
) -> np.ndarray:
    """(groups, n, M) of (groups, K, M) weights in one array, cell by cell, column by column.

    `faults` maps (row, column) of the array to (kind, value).
    """
    groups, k, m = weights.shape
    top, worth = config.format.levels - 1, column_worth(config)
    result = np.zeros((groups, inputs.shape[1], m), dtype=object)
    for column in range(groups * m * len(worth)):
        output, d = divmod(column, len(worth))
        group, j = divmod(output, m)
        own = [digits_of(int(weights[group, i, j]), config)[d] for i in range(k)]
        inverted = config.inverted_storage and sum(own) > k * top / 2
        levels = [0] * (groups * k)
        for i in range(k):
            levels[group * k + i] = top - own[i] if inverted else own[i]
        for row in range(groups * k):
            levels[row] = faulty_level(levels[row], faults.get((row, column)), top)
        for n in range(inputs.shape[1]):
            driven = [int(inputs[row // k, n, row % k]) for row in range(groups * k)]
            own_sum = sum(int(x) for x in inputs[group, n])
            found = stream_column(driven, levels, config, signed)
            result[group, n, j] += worth[d] * (top * own_sum - found if inverted else found)
            if d == 0 and config.format.encoding == "offset":
                result[group, n, j] -= 2 ** (config.format.weight_bits - 1) * own_sum
    half = Fraction(1, 2)
    return np.array([[[math.floor(v + half) for v in row] for row in own] for own in result], np.int64)


def adc(current: Fraction | int, config: ArrayConfig) -> Fraction:
    """What the digital side takes a column sum for, in levels."""
    full_range = config.adc.full_range
    if full_range == "array":
        full_range = config.rows * (config.format.levels - 1) * (2**config.dac_bits - 1)
    step = Fraction(1) if full_range is None else Fraction(full_range, 2**config.adc.bits)
    code = math.floor(current / step + Fraction(1, 2))
    return step * min(max(code, 0), 2**config.adc.bits - 1)


def stream_column(x: list[int], levels: list[int], config: ArrayConfig, signed: bool) -> Fraction:
    """Drive one column cycle by cycle through the ADC and shift-and-add; in levels."""
    total = Fraction(0)
    base = 2**config.dac_bits
    cycles = -(-config.input_bits // config.dac_bits)
    for t in range(cycles):
        driven = [((value % 2**config.input_bits) // base**t) % base for value in x]
        current = sum(a * b for a, b in zip(driven, levels, strict=True))
        found = adc(current, config)
        negative = signed and t == cycles - 1
        total += -found * base**t if negative else found * base**t
    return total


def faulty_level(level: int, fault: tuple[str, int] | None, top: int) -> int:
    """The level that a faulty cell holds when `level` is written."""
    if fault is None:
        return level
    kind, value = fault
    if kind == "flip":
        return level ^ value
    if kind == "step":
        moved = level + value
        return moved if 0 <= moved <= top else level - value
    return {"stuck_hrs": 0, "stuck_lrs": top, "stuck_at": value}[kind]


def acts_as(word: int, config: ArrayConfig) -> int:
    """The weight that the levels of a word make."""
    form = config.format
    levels = [(word // form.levels**d) % form.levels for d in range(len(column_worth(config)))]
    value = sum(level * worth for level, worth in zip(levels, column_worth(config), strict=True))
    return value - 2 ** (form.weight_bits - 1) if form.encoding == "offset" else value


def closest_of_all_words(weight: int, keep: int, force: int, config: ArrayConfig) -> int:
    """The value closest to a weight that stuck cells can act as: every word is tried; the smaller of two."""
    words = range(config.format.levels ** len(column_worth(config)))
    values = {acts_as((word & keep) | force, config) for word in words}
    return min(values, key=lambda value: (abs(value - weight), value))


def closest_of_all_weights(weight: int, keep: int, force: int, config: ArrayConfig) -> int:
    """The same where only words that some weight is written as are tried."""
    form = config.format
    values = set()
    for written in range(form.low, form.high + 1):
        word = sum(level * form.levels**d for d, level in enumerate(digits_of(written, config)))
        values.add(acts_as((word & keep) | force, config))
    return min(values, key=lambda value: (abs(value - weight), value))


def closest_with_every_flip(
    weights: list[int], keep: list[int], force: list[int], config: ArrayConfig
) -> int:
    """Least squared error of one column, every sign and every inversion of slices tried."""
    form, digits = config.format, len(column_worth(config))
    errors = []
    for choice in range(2**digits):
        inverted = sum((form.levels - 1) * form.levels**d for d in range(digits) if choice >> d & 1)
        for sign in (1, -1):
            error = 0
            for weight, free, stuck in zip(weights, keep, force, strict=True):
                meaning = (stuck ^ inverted) & ~free
                error += (closest_of_all_words(sign * weight, free, meaning, config) - sign * weight) ** 2
            errors.append(error)
    return min(errors)


class MarchMemory:
    """A memory with faults, one cell, one operation at a time; see `march_reference`."""

    def __init__(self, state, faults, stuck, top, coins):
        self.state, self.faults, self.stuck, self.top = list(state), list(faults), dict(stuck), top
        self.coins, self.tossed = list(coins), 0
        self.counter = [0] * len(self.faults)
        for cell, level in self.stuck.items():
            self.state[cell] = level
        for cell in range(len(self.state)):
            self.settle(cell)

    def level(self, symbol):
        """A primitive's 0 and 1 are the lowest and the highest level."""
        return symbol * self.top if symbol > 0 else symbol

    def put(self, cell, level):
        if cell not in self.stuck:
            self.state[cell] = level

    def access(self, cell, kind, level):
        """Apply ('r', expected) or ('w', level) to one cell; returns what a read gives."""
        before = self.state[cell]
        after, value = (level if kind == "w" else before), before
        for number, fault in enumerate(self.faults):
            if fault.victim == cell:
                after, value = self.as_victim(
                    number, fault.primitive, fault.aggressor, kind, level, before, after, value
                )
        self.put(cell, after)
        for fault in self.faults:
            if fault.aggressor == cell:
                self.as_aggressor(fault.primitive, fault.victim, kind, level, before)
        self.settle(cell)
        return self.stuck.get(cell, value)

    def as_victim(self, number, p, aggressor, kind, level, before, after, value):
        here = before == self.level(p.v_state)
        if p.kind == 0:
            sensitised = {0: "r", 1: "w", -1: ""}[p.v_op] == kind and here
            sensitised = sensitised and (kind == "r" or level == self.level(p.v_level))
            if aggressor is not None:
                sensitised = sensitised and p.a_op == -1 and self.state[aggressor] == self.level(p.a_state)
            if sensitised:
                after = self.level(p.faulty)
                value = self.level(p.read) if kind == "r" else value
        same = kind == "w" and here and level == before
        if p.kind == 1 and kind == "w":
            if self.counter[number] and here and not same:
                after = before
            self.counter[number] = int(same)
        if p.kind in (2, 3):
            counts = same if p.kind == 2 else kind == "r" and here
            self.counter[number] = self.counter[number] + 1 if counts else 0
            if self.counter[number] == p.count:
                after, self.counter[number] = self.top - before, 0
        if p.kind == 4 and kind == "w":
            self.counter[number] = int(level == self.level(p.v_state))
        elif p.kind == 4 and self.counter[number] and self.coins:
            value = self.top * bool(self.coins[self.tossed % len(self.coins)])
            self.tossed += 1
        return after, value

    def as_aggressor(self, p, victim, kind, level, before):
        if p.kind != 0 or {0: "r", 1: "w"}.get(p.a_op) != kind or before != self.level(p.a_state):
            return
        if kind == "w" and level != self.level(p.a_level):
            return
        if p.v_state == -1 or self.state[victim] == self.level(p.v_state):
            self.put(victim, self.top - self.state[victim] if p.faulty == -2 else self.level(p.faulty))

    def settle(self, cell):
        """State faults act whenever their victim or aggressor was touched."""
        for fault in self.faults:
            p = fault.primitive
            if p.kind == 0 and p.v_op == -1 and p.a_op == -1 and cell in (fault.victim, fault.aggressor):
                held = fault.aggressor is None or self.state[fault.aggressor] == self.level(p.a_state)
                if held and self.state[fault.victim] == self.level(p.v_state):
                    self.put(fault.victim, self.level(p.faulty))

    def operate(self, address, kind, level):
        """One operation through the address decoder with its faults."""
        for fault in self.faults:
            if fault.primitive.kind == 5 and fault.victim == address:
                wiring, other = fault.primitive.count, fault.aggressor
                if wiring in (0, 1):
                    return self.top * wiring
                if wiring == 2:
                    return self.access(other, kind, level)
                both = [self.access(address, kind, level), self.access(other, kind, level)]
                return min(both) if wiring == 3 else max(both)
        return self.access(address, kind, level)


def march_reference(elements, state, faults=(), stuck=(), top=1, coins=()):
    """A March test, slowly: by address, which reads mismatched, and all levels read.

    `elements` are (descending, [(kind, level), ...]); `stuck` pairs of cell and level.
    """
    memory = MarchMemory(state, faults, stuck, top, coins)
    mismatches = [set() for _ in state]
    seen = [[] for _ in state]
    reads_before = 0
    for descending, operations in elements:
        addresses = range(len(state) - 1, -1, -1) if descending else range(len(state))
        for address in addresses:
            read = reads_before
            for kind, level in operations:
                value = memory.operate(address, kind, level)
                if kind == "r":
                    seen[address].append(value)
                    if value != level:
                        mismatches[address].add(read)
                    read += 1
        reads_before += sum(kind == "r" for kind, _ in operations)
    return mismatches, seen


def mix64(x: int) -> int:
    """SplitMix64's finaliser."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
    return x ^ (x >> 31)


def scramble(key: int, number: int) -> int:
    """The 32-bit finaliser of a counter."""
    x = (key + number * 0x9E3779B1) % 2**32
    x = ((x ^ (x >> 16)) * 0x7FEB352D) % 2**32
    x = ((x ^ (x >> 15)) * 0x846CA68B) % 2**32
    return x ^ (x >> 16)


def horner(coefficients, y):
    """A polynomial in float32, highest power first."""
    value = coefficients[0]
    for c in coefficients[1:]:
        value = value * y + c
    return value


def noise_of_reads(key: int, variance: np.ndarray, scale: np.float32) -> np.ndarray:
    """The noise of the reads of one column stripe, (reads,) float32, for these variances."""
    half = len(variance) // 2
    noise = np.zeros(len(variance), np.float32)
    one = np.float32(1)
    for j in range(half):
        chosen = (scramble(key % 2**32, j) >> 7) | 1
        exponent = chosen.bit_length() - 26
        top_bits = (chosen << (32 - chosen.bit_length())) >> 8
        y = np.float32(top_bits - 2**23) * np.float32(2.0**-23) - np.float32(0.5)
        log = np.float32(exponent) * np.float32(np.log(2)) + horner(LOG, y)
        radius = max(np.float32(-2) * log, np.float32(0))
        turn = scramble(key >> 32, j)
        y = np.float32((turn >> 8) % 2**22) * np.float32(2.0**-22) - np.float32(0.5)
        cos, sin = horner(COS, y * y), horner(SIN, y * y) * y
        sign = one - np.float32((turn >> 30) & 2)
        here, there = (sin, cos) if (turn >> 30) & 1 else (cos, sin)
        noise[j] = np.sqrt(variance[j] * scale * radius) * (sign * here)
        noise[j + half] = np.sqrt(variance[j + half] * scale * radius) * (sign * there)
    return noise


def analog_product(matrix, inputs: np.ndarray, signed: bool, seed: int, first: int) -> np.ndarray:
    """Currents of an `AnalogMatrix`, one stripe of columns, one input, one cycle at a time."""
    config, form = matrix.config, matrix.config.format
    stripes, blocks, digits, _, lanes = matrix.cells.shape
    width = lanes // 2 if matrix.noise == PER_CELL else lanes
    cycles = -(-config.cycles // 4) * 4
    kind = np.float32 if config.step.numerator * 2**config.adc.bits < 2**22 else np.float64
    step = kind(float(config.step) * 2**matrix.fraction_bits)
    top, base = np.float32(2**config.adc.bits - 1), 2**config.dac_bits
    k_total, m_total = matrix.shape
    codes = np.zeros((len(inputs), stripes * width), dtype=object)
    result = np.zeros((len(inputs), m_total), dtype=object)
    for n, vector in enumerate(inputs):
        bits = [int(v) % 2**config.input_bits for v in vector]
        for stripe, block, digit in np.ndindex(stripes, blocks, digits):
            cells = matrix.cells[stripe, block, digit].astype(np.int64)
            rows = range(block * config.rows, min((block + 1) * config.rows, k_total))
            currents, variances = [], []
            for t in range(cycles):
                driven = np.array([(bits[k] // base**t) % base for k in rows])
                sums = driven @ cells[: len(rows)]
                currents.append(sums[:width].astype(np.float32))
                spread = sums[width:] if matrix.noise == PER_CELL else np.full(width, driven.sum())
                variances.append(spread.astype(np.float32))
            current = np.concatenate(currents)
            if matrix.noise != QUIET:
                key = mix64((seed + (stripe * blocks + block) * digits + digit) % 2**64)
                key = mix64((key + first + n) % 2**64)
                current = current + noise_of_reads(
                    key, np.concatenate(variances), np.float32(matrix.noise_scale)
                )
            code = np.minimum(np.maximum(np.floor(current / step + np.float32(0.5)), 0), top).astype(int)
            for t in range(cycles):
                worth = -(base**t) if signed and t == config.cycles - 1 else base**t
                for lane in range(width):
                    m = stripe * width + lane
                    inverted = m < m_total and matrix.inversion[block, m] >> (digit * form.cell_bits) & 1
                    found = worth * int(form.significance[digit]) * int(code[t * width + lane])
                    codes[n, m] += -found if inverted else found
        for m in range(m_total):
            result[n, m] = math.floor(codes[n, m] * config.step + Fraction(1, 2))
            size = config.rows if matrix.groups == 1 else len(vector) // matrix.groups
            group = m // (m_total // matrix.groups)
            for block in range(blocks):
                first_row = (block if matrix.groups == 1 else group) * size
                inputs_sum = sum(int(v) for v in vector[first_row : first_row + size])
                for digit in range(digits):
                    if matrix.inversion[block, m] >> (digit * form.cell_bits) & 1:
                        result[n, m] += (form.levels - 1) * int(form.significance[digit]) * inputs_sum
                result[n, m] -= form.zero * inputs_sum
    return result.astype(np.int64)


def nodal_matrix(g_uS: np.ndarray, wires) -> np.ndarray:
    """Effective conductances of an array from dense nodal equations; all resistances above 0."""
    rows, columns = g_uS.shape
    nodes = rows * columns
    admittance, drive = np.zeros((2 * nodes, 2 * nodes)), np.zeros((2 * nodes, rows))

    def connect(a, b, siemens):
        admittance[a, a] += siemens
        admittance[b, b] += siemens
        admittance[a, b] -= siemens
        admittance[b, a] -= siemens

    for r in range(rows):
        for c in range(columns):
            word, bit = r * columns + c, nodes + r * columns + c
            connect(word, bit, g_uS[r, c] * 1e-6)
            if c + 1 < columns:
                connect(word, word + 1, 1 / wires.word_ohm)
            if r + 1 < rows:
                connect(bit, bit + columns, 1 / wires.bit_ohm)
        admittance[r * columns, r * columns] += 1 / wires.source_ohm
        drive[r * columns, r] = 1 / wires.source_ohm
    ends = nodes + (rows - 1) * columns + np.arange(columns)
    admittance[ends, ends] += 1 / wires.sense_ohm
    return (np.linalg.solve(admittance, drive)[ends] / wires.sense_ohm).T * 1e6


def stuck_places(count: int, rate: float, rng: np.random.Generator) -> list[int]:
    """Independent trials by the distances between successes, one at a time; none of them if rate is 0."""
    found, place = [], -1
    while rate > 0:
        # the number of failures before a success exceeds k as often as E exceeds -k log(1 - rate)
        scale = -1 / float(np.log1p(-rate)) if rate < 1 else 0.0
        place += 1 + math.floor(min(rng.standard_exponential() * scale, count))
        if place >= count:
            break
        found.append(place)
    return found


def stuck_activations(x: np.ndarray, unit: str, stuck: dict[int, float]) -> np.ndarray:
    """(N, C) or (N, C, H, W) activations with some units, by their number in C order, at some levels."""
    out = x.copy()
    per_image = {"element": x[0].size, "channel": x.shape[1], "pixel": x[0, 0].size}[unit]
    for number, level in stuck.items():
        image, place = out[number // per_image], number % per_image
        if unit == "element":
            image.reshape(-1)[place] = level
        elif unit == "channel":
            image[place] = level
        else:
            image.reshape(len(image), -1)[:, place] = level
    return out


def quantized_value(x: float, bits: int, signed: bool = True) -> int:
    """The integer of `bits` bits that a number in [-1, 1] (or [0, 1]) becomes: exact, half up, clipped."""
    if signed and bits == 1:
        return 1 if x >= 0 else -1
    top = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    nearest = math.floor(Fraction(x) * top + Fraction(1, 2))
    return max(-top if signed else 0, min(top, nearest))


def augmented_image(image: np.ndarray, mirrored: bool, down: int, across: int, margin: int) -> np.ndarray:
    """A (C, H, W) image in a margin of zeros, cut out `down` rows and `across` columns on, then mirrored."""
    channels, height, width = image.shape
    out = np.zeros_like(image)
    for c in range(channels):
        for row in range(height):
            for column in range(width):
                y = row + down - margin
                x = (width - 1 - column if mirrored else column) + across - margin
                if 0 <= y < height and 0 <= x < width:
                    out[c, row, column] = image[c, y, x]
    return out
