"""Which outputs collapse to a product, and why the others do not."""

import numpy as np
import pytest

from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.crossbar.proof import collapse_shares
from xbarsim.faults.kinds import FaultKind
from xbarsim.faults.masks import masks_of_cells


def test_isaac_without_faults_is_fully_proven_and_equals_the_integer_product():
    rng = np.random.default_rng(1)
    q = rng.integers(-(2**15), 2**15, (300, 20))
    x = rng.integers(0, 2**16, (5, 300))
    matrix = program_matrix(q, ArrayConfig())
    assert matrix.proof.proven.all()
    np.testing.assert_array_equal(matrix.product(x, signed=False), x @ q)


def test_without_inverted_storage_an_8_bit_adc_is_not_enough():
    q = np.full((128, 1), 2**15 - 1)
    matrix = program_matrix(q, ArrayConfig(inverted_storage=False))
    assert not matrix.proof.proven.any()
    assert (
        matrix.product(np.full((1, 128), 2**16 - 1), signed=False) < 128 * (2**16 - 1) * (2**15 - 1)
    ).all()


def test_the_proof_says_why():
    q = np.full((128, 2), -(2**15))
    q[:, 1] = 2**15 - 1
    plain = {"inverted_storage": False}
    clips = program_matrix(q, ArrayConfig(**plain)).proof
    np.testing.assert_array_equal(clips.may_clip, [[False, True]])
    assert not clips.may_round.any()
    assert clips.largest_sum.tolist() == [[0 + 0, 384]]
    # an 8-bit code over 384 is worth 1.5 levels: only sums that are multiples of 3 have one
    rounds = program_matrix(q, ArrayConfig(adc=AdcConfig(full_range="array"), **plain)).proof
    np.testing.assert_array_equal(rounds.may_round, [[False, False]])
    q[0, 0] += 1
    rounds = program_matrix(q, ArrayConfig(adc=AdcConfig(full_range="array"), **plain)).proof
    np.testing.assert_array_equal(rounds.may_round, [[True, False]])
    both = collapse_shares([clips, rounds])
    assert (both.proven, both.may_clip, both.may_round, both.largest_sum) == (0.25, 0.5, 0.25, 384)
    assert both.reason == "50.0% may clip: sums up to 384, ADC 255; 25.0% may fall between two codes"


@pytest.mark.parametrize("faulty_share", [0.01])
def test_with_one_percent_stuck_nearly_everything_collapses(faulty_share):
    rng = np.random.default_rng(0)
    matrix = program_matrix(rng.integers(-(2**15), 2**15, (512, 512)), ArrayConfig())
    cells = np.flatnonzero(rng.random(512 * 512 * 8) < faulty_share)
    weight, digit = np.divmod(cells, 8)
    kind = rng.choice([FaultKind.stuck_hrs, FaultKind.stuck_lrs], len(cells)).astype(np.uint8)
    value = np.where(kind == FaultKind.stuck_lrs, 3, 0).astype(np.int8)
    masks = masks_of_cells(matrix.stored, weight=weight, digit=digit, kind=kind, value=value, cell_bits=2)
    assert matrix.proof.proven.all()
    assert matrix.with_masks(masks).proof.proven.mean() >= 0.95
