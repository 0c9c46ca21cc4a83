"""One March test on one memory with faults: every operation of every address in order.

Slow, obvious twin: ``tests/twins/crossbar.py``, `march_reference`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Columns of an encoded fault. States and levels are levels of the memory, -1 stands for "any" or "none".
KIND, VICTIM, AGGRESSOR, A_STATE, A_OP, A_LEVEL, V_STATE, V_OP, V_LEVEL, FAULTY, READ, COUNT = range(12)
STATIC, DEEP, DYNAMIC_WRITE, READ_DISTURB, UNDEFINED, ADDRESS = range(6)
READ_OP, WRITE_OP = 0, 1
NO_CELL_LOW, NO_CELL_HIGH, OTHER_CELL, BOTH_AND, BOTH_OR = range(5)
TOGGLE = -2


@njit(cache=True, nogil=True)
def run_encoded(  # type: ignore[no-untyped-def]
    state, kinds, levels, starts, descending, faults, first, touching, stuck, top, coins
):
    """Run an encoded March test.

    Parameters
    ----------
    state : (n,) int64 initial levels, changed in place
    kinds, levels : (operations,) READ_OP or WRITE_OP, and the level expected or written
    starts : (elements + 1,) where each element's operations begin
    descending : (elements,) bool, address order
    faults : (f, 12) int64, see the columns above
    first, touching : (n + 1,), (m,) the faults that name each cell, in the order of `faults`
    stuck : (n,) int64 level a cell is stuck at, or -1
    top : highest level
    coins : (c,) int64 random bits that reads of an undefined state consume, cyclically

    Returns
    -------
    syndrome : (n,) uint64, bit i set if the i-th read of the test mismatched at this address
    lowest, highest : (n,) int64, levels read
    """
    n = len(state)
    syndrome = np.zeros(n, np.uint64)
    lowest, highest = np.full(n, top), np.zeros(n, np.int64)
    hidden = np.zeros(len(faults), np.int64)
    coin = np.zeros(1, np.int64)
    for cell in range(n):
        if stuck[cell] >= 0:
            state[cell] = stuck[cell]
    for cell in range(n):
        _hold_states(state, cell, faults, first, touching, stuck, top)
    reads = 0
    for e in range(len(starts) - 1):
        for i in range(n):
            address = n - 1 - i if descending[e] else i
            bit = reads
            plain = first[address] == first[address + 1]  # no fault names this cell: nearly all of an array
            for op in range(starts[e], starts[e + 1]):
                if plain:
                    value = _operate_plain(state, address, kinds[op], levels[op], stuck)
                else:
                    value = _operate(
                        state,
                        address,
                        kinds[op],
                        levels[op],
                        faults,
                        first,
                        touching,
                        stuck,
                        top,
                        hidden,
                        coins,
                        coin,
                    )
                if kinds[op] == READ_OP:
                    if value != levels[op]:
                        syndrome[address] |= np.uint64(1) << np.uint64(bit)
                    lowest[address] = min(lowest[address], value)
                    highest[address] = max(highest[address], value)
                    bit += 1
        for op in range(starts[e], starts[e + 1]):
            if kinds[op] == READ_OP:
                reads += 1
    return syndrome, lowest, highest


@njit(cache=True, nogil=True)
def found_everywhere(  # type: ignore[no-untyped-def]
    cells, kinds, levels, starts, orders, faults, first, touching
):
    """True if a binary test finds the faults in every initial state and for every row of `orders`."""
    stuck, coins = np.full(cells, -1), np.zeros(0, np.int64)
    for pattern in range(1 << cells):
        for order in orders:
            state = (pattern >> np.arange(cells)) & 1
            syndrome, _, _ = run_encoded(
                state, kinds, levels, starts, order, faults, first, touching, stuck, 1, coins
            )
            if not syndrome.any():
                return False
    return True


@njit(cache=True)
def _operate_plain(state, cell, kind, level, stuck):  # type: ignore[no-untyped-def]
    if stuck[cell] < 0 and kind == WRITE_OP:
        state[cell] = level
    return state[cell]  # of a stuck cell, the level that it is stuck at


@njit(cache=True)
def _operate(  # type: ignore[no-untyped-def]
    state, address, kind, level, faults, first, touching, stuck, top, hidden, coins, coin
):
    cell, other, wiring = _decode(address, faults, first, touching)
    if wiring in (NO_CELL_LOW, NO_CELL_HIGH):
        return 0 if wiring == NO_CELL_LOW else top
    value = _access(state, cell, kind, level, faults, first, touching, stuck, top, hidden, coins, coin)
    if other < 0:
        return value
    second = _access(state, other, kind, level, faults, first, touching, stuck, top, hidden, coins, coin)
    return min(value, second) if wiring == BOTH_AND else max(value, second)


@njit(cache=True)
def _decode(address, faults, first, touching):  # type: ignore[no-untyped-def]
    for j in range(first[address], first[address + 1]):
        fault = faults[touching[j]]
        if fault[KIND] == ADDRESS and fault[VICTIM] == address:
            if fault[COUNT] == OTHER_CELL:
                return fault[AGGRESSOR], -1, OTHER_CELL
            if fault[COUNT] == BOTH_AND or fault[COUNT] == BOTH_OR:
                return address, fault[AGGRESSOR], fault[COUNT]
            return address, -1, fault[COUNT]
    return address, -1, -1


@njit(cache=True)
def _access(  # type: ignore[no-untyped-def]
    state, cell, kind, level, faults, first, touching, stuck, top, hidden, coins, coin
):
    before = state[cell]
    after = level if kind == WRITE_OP else before
    value = before
    for j in range(first[cell], first[cell + 1]):
        index = touching[j]
        fault = faults[index]
        if fault[VICTIM] != cell:
            continue
        if fault[KIND] == STATIC:
            if _sensitised(fault, kind, level, before, state):
                after = fault[FAULTY]
                if kind == READ_OP:
                    value = fault[READ]
        elif fault[KIND] != ADDRESS:
            after, value = _history(fault, index, kind, level, before, after, value, top, hidden, coins, coin)
    state[cell] = after if stuck[cell] < 0 else stuck[cell]
    if stuck[cell] >= 0:
        value = stuck[cell]
    for j in range(first[cell], first[cell + 1]):
        fault = faults[touching[j]]
        hit = fault[KIND] == STATIC and fault[AGGRESSOR] == cell and fault[A_OP] == kind
        if not hit or fault[A_STATE] != before or (kind == WRITE_OP and fault[A_LEVEL] != level):
            continue
        victim = fault[VICTIM]
        if stuck[victim] < 0 and (fault[V_STATE] == -1 or fault[V_STATE] == state[victim]):
            state[victim] = top - state[victim] if fault[FAULTY] == TOGGLE else fault[FAULTY]
    _hold_states(state, cell, faults, first, touching, stuck, top)
    return value


@njit(cache=True)
def _sensitised(fault, kind, level, before, state):  # type: ignore[no-untyped-def]
    if fault[V_OP] != kind or fault[V_STATE] != before or (kind == WRITE_OP and fault[V_LEVEL] != level):
        return False
    return fault[AGGRESSOR] < 0 or (fault[A_OP] == -1 and state[fault[AGGRESSOR]] == fault[A_STATE])


@njit(cache=True)
def _history(  # type: ignore[no-untyped-def]
    fault, index, kind, level, before, after, value, top, hidden, coins, coin
):
    same = kind == WRITE_OP and before == fault[V_STATE] and level == before
    if fault[KIND] == DEEP:
        if same:
            hidden[index] = 1
        elif kind == WRITE_OP:
            if hidden[index] and before == fault[V_STATE]:
                after = before
            hidden[index] = 0
    elif fault[KIND] == DYNAMIC_WRITE:
        hidden[index] = hidden[index] + 1 if same else 0
        if hidden[index] >= fault[COUNT]:
            after, hidden[index] = top - before, 0
    elif fault[KIND] == READ_DISTURB:
        hidden[index] = hidden[index] + 1 if kind == READ_OP and before == fault[V_STATE] else 0
        if hidden[index] >= fault[COUNT]:
            after, hidden[index] = top - before, 0
    elif fault[KIND] == UNDEFINED:
        if kind == WRITE_OP:
            hidden[index] = 1 if level == fault[V_STATE] else 0
        elif hidden[index] and len(coins):
            value = top if coins[coin[0] % len(coins)] else 0
            coin[0] += 1
    return after, value


@njit(cache=True)
def _hold_states(state, cell, faults, first, touching, stuck, top):  # type: ignore[no-untyped-def]
    for j in range(first[cell], first[cell + 1]):
        fault = faults[touching[j]]
        if fault[KIND] != STATIC or fault[V_OP] != -1 or fault[A_OP] != -1:
            continue
        victim, aggressor = fault[VICTIM], fault[AGGRESSOR]
        if aggressor >= 0 and state[aggressor] != fault[A_STATE]:
            continue
        if state[victim] == fault[V_STATE] and stuck[victim] < 0:
            state[victim] = fault[FAULTY]
