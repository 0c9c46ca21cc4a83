"""The places of a small FINN design, for the tests of faults."""

from xbarsim.faults.pe import FinnGeometry, UnitGeometry

INNER = UnitGeometry(
    rows=6, columns=9, pe=2, simd=4, weight_bits=2, threshold_bits=7, accumulator_bits=5, thresholds=2,
    values=(-1, 0, 1), products=(-2, 0, 2), pixels=10,
)  # fmt: skip
LAST = UnitGeometry(
    rows=4, columns=6, pe=2, simd=3, weight_bits=1, threshold_bits=6, accumulator_bits=6, thresholds=0,
    values=(), products=(-1, 1), pixels=0,
)  # fmt: skip
DESIGN = FinnGeometry((INNER, INNER, LAST))
