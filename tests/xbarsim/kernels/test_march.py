"""The compiled March engine agrees with its slow twin in every read."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.crossbar import march_reference
from xbarsim.detection.march.memory import PlacedFault, run_march
from xbarsim.detection.march.notation import parse_march
from xbarsim.detection.march.primitives import primitive_classes, read_disturb, undefined_state

PRIMITIVES = [p for members in primitive_classes().values() for p in members]
PRIMITIVES += [read_disturb(1, 3), read_disturb(0, 2), undefined_state(0), undefined_state(1)]


@st.composite
def march_texts(draw):
    operation = st.sampled_from(["r0", "r1", "w0", "w1"])
    element = st.tuples(st.sampled_from("^v"), st.lists(operation, min_size=1, max_size=5))
    elements = draw(st.lists(element, min_size=1, max_size=6))
    return parse_march("; ".join(f"{o}({','.join(ops)})" for o, ops in [*elements, ("^", ["r0"])]))


@settings(max_examples=400, deadline=None)
@given(test=march_texts(), top=st.sampled_from([1, 3]), seed=st.integers(0, 2**32 - 1))
def test_engine_matches_reference(test, top, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    state = rng.integers(0, top, n, endpoint=True)
    faults = []
    for index in rng.integers(0, len(PRIMITIVES), int(rng.integers(0, 4))):
        victim, aggressor = (int(c) for c in rng.choice(n, 2, replace=False))
        p = PRIMITIVES[index]
        faults.append(PlacedFault(primitive=p, victim=victim, aggressor=aggressor if p.coupled else None))
    where = rng.choice(n, int(rng.integers(0, 2)), replace=False)
    levels = rng.integers(0, top, len(where), endpoint=True)
    coins = rng.integers(0, 2, 11)
    found = run_march(
        test, state, levels=top + 1, faults=faults, stuck=(where, levels), either="up", coins=coins
    )
    elements = [(e.order == "⇓", [(op.kind, op.level * top) for op in e.operations]) for e in test.elements]
    stuck = zip(where.tolist(), levels.tolist(), strict=True)
    mismatches, seen = march_reference(elements, state.tolist(), faults, stuck, top, coins)
    syndrome = [{b for b in range(64) if int(word) >> b & 1} for word in found.syndrome]
    assert syndrome == mismatches
    assert found.lowest_read.tolist() == [min(v) for v in seen]
    assert found.highest_read.tolist() == [max(v) for v in seen]
    assert found.operations == n * len(test.operations)
