import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.twins.crossbar import faulty_level
from xbarsim.faults.kinds import FaultKind
from xbarsim.faults.masks import CellMasks, masks_of_cells


@given(cell_bits=st.integers(1, 4), digits=st.integers(1, 8), seed=st.integers(0, 2**32 - 1))
def test_masks_do_to_words_what_the_reference_does_to_levels(cell_bits, digits, seed):
    rng = np.random.default_rng(seed)
    top = (1 << cell_bits) - 1
    words = rng.integers(0, 1 << (cell_bits * digits), 30)
    where = rng.choice(30 * digits, 40 if digits > 1 else 20, replace=False)
    weight, digit = np.divmod(where, digits)
    kind = rng.integers(0, len(FaultKind), len(where)).astype(np.uint8)
    value = rng.integers(1, top, len(where), endpoint=True)
    value = np.where(kind == FaultKind.step, rng.choice([-1, 1], len(where)), value)
    value = np.select([kind == FaultKind.stuck_hrs, kind == FaultKind.stuck_lrs], [0, top], value)
    masks = masks_of_cells(
        words, weight=weight, digit=digit, kind=kind, value=value.astype(np.int8), cell_bits=cell_bits
    )
    expected = words.copy()
    for w, d, k, v in zip(weight, digit, kind, value, strict=True):
        level = (int(expected[w]) >> (int(d) * cell_bits)) & top
        faulty = faulty_level(level, (FaultKind(int(k)).name, int(v)), top)
        expected[w] += (faulty - level) << (int(d) * cell_bits)
    assert (masks.apply(words) == expected).all()


def test_logical_masks_act_before_inversion_as_the_stored_ones_after():
    rng = np.random.default_rng(0)
    words, inversion = rng.integers(0, 256, 50), np.where(rng.integers(0, 2, 50), 0b11110011, 0)
    keep = ~rng.integers(0, 256, 50)
    stored = CellMasks(keep=keep, force=rng.integers(0, 256, 50) & ~keep, flip=rng.integers(0, 256, 50))
    assert (stored.logical(inversion).apply(words) == stored.apply(words ^ inversion) ^ inversion).all()


def test_no_faults_change_nothing():
    words = np.arange(12).reshape(3, 4)
    assert (CellMasks.none((3, 4)).apply(words) == words).all()
