"""ADC ranges from the column sums that typical inputs cause."""

import numpy as np
import pytest

from accel_models.reram.calibration import calibrate_adc
from accel_models.reram.config import ReramConfig
from tests.helpers.grouped import grouped_graph, small_arrays
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Input, MatMul
from xbarsim.programs import program


def test_calibrated_range_holds_the_share_it_promises(bench):
    images = bench.train.images[:64]
    config = ReramConfig(array=ArrayConfig(adc=AdcConfig(bits=5)))
    chip = program(bench.module, config, calibrate=images)
    clipping = chip.run(images).scores
    exact = bench.chip.run(images).scores
    best = calibrate_adc(chip, images, percentile=99.9)
    ranges = {key: m.config.adc.full_range for key, m in best.matrices.items()}
    assert all(r is None or 31 < r <= 128 * 3 * 32 / 31 + 1 for r in ranges.values())
    everything = calibrate_adc(chip, images, percentile=100)
    for key, matrix in everything.matrices.items():
        assert float(matrix.config.step * 31) >= float(best.matrices[key].config.step * 31)
    error = {c: np.abs(chosen.run(images).scores - exact).mean() for c, chosen in (("c", best), ("n", chip))}
    assert error["c"] < error["n"] / 2, clipping
    fine = calibrate_adc(bench.chip, images, percentile=100)
    assert {m.config.step for m in fine.matrices.values()} == {1}
    with pytest.raises(InputError, match="percentile"):
        calibrate_adc(chip, images, percentile=0)


def graph_of_ones(rows):
    """One layer: `rows` inputs of a bit, two outputs, weights of 1."""
    product = MatMul(
        name="a",
        sources=("x",),
        weights=np.ones((1, rows, 2), np.int64),
        bias=np.zeros(2, np.int64),
        weight_fraction=0,
        input_bits=1,
        input_signed=False,
    )
    return IntegerGraph((Input(name="x", bits=1, signed=False, fraction=0), product), (rows,))


@pytest.mark.parametrize(("on", "expected"), [(3, None), (15, None), (16, 18), (30, 32)])
def test_the_largest_code_stands_for_the_largest_sum(on, expected):
    """40 cells of level 1 in a column, `on` of them driven; codes of 4 bits reach 15 at step 1."""
    form, adc = WeightFormat(weight_bits=2, cell_bits=1), AdcConfig(bits=4)
    array = ArrayConfig(rows=40, columns=16, format=form, adc=adc, inverted_storage=False)
    chip = ReramConfig(name="small", array=array).program(graph_of_ones(40))
    images = np.zeros((3, 40))
    images[:, :on] = 1
    found = calibrate_adc(chip, images, percentile=100)
    (matrix,) = found.matrices.values()
    assert matrix.config.adc.full_range == expected
    assert chip.matrices["a", 0].config.adc.full_range is None  # the chip itself stays


def test_faults_off_the_diagonal_count_in_the_sums_that_are_seen():
    healthy = small_arrays(adc_bits=4).program(grouped_graph())
    images = np.random.default_rng(0).random((8, *healthy.input_shape))
    place = healthy.placement.matrices[0]
    row, column = np.indices((8, 32)).reshape(2, -1)  # rows of the first group, columns of the second
    fault_map = FaultMap.of(
        healthy.geometry, array=place.first, row=row, column=32 + column, kind="stuck_lrs"
    )
    before, after = (
        calibrate_adc(chip, images, percentile=100).matrices[place.key].config.adc.full_range
        for chip in (healthy, healthy.inject(fault_map))
    )
    assert before is None and after > 16
