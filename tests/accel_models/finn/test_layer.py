"""One layer: streams, shapes, foldings, the accumulator as gain and offset, and what is refused."""

import dataclasses

import numpy as np
import pytest

from accel_models.finn.layer import BIPOLAR, TERNARY, Mvtu, Stream, signed, unsigned, weight_range
from tests.helpers.finn_networks import small_network
from tests.twins.finn import accumulator
from xbarsim.errors import InputError


def test_layer_refuses_what_it_cannot_mean():
    layer = small_network(np.random.default_rng(0)).layers[0]
    for change, words in (
        ({"pe": 5}, "divisor"),
        ({"simd": 4}, "divisor"),
        ({"weights": layer.weights * 0}, "-1 and \\+1"),
        ({"weights": layer.weights[:, 1:]}, "weights"),
        ({"thresholds": layer.thresholds[:, ::-1][:-1]}, "thresholds"),
        ({"output": None}, "thresholds and an output"),
        ({"pool": 7}, "divisor"),
        ({"kernel": (99, 1)}, "window"),
        ({"weight_bits": 9}, "1..8"),
    ):
        with pytest.raises(ValueError, match=words):
            dataclasses.replace(layer, **change)
    with pytest.raises(ValueError, match=r"1\.\.255"):
        Stream(low=0, step=1, top=256)
    assert unsigned(3).code_of("here", 7) == 7
    with pytest.raises(ValueError, match="here: expected one of 0, 1"):
        unsigned(1).code_of("here", 2)


def test_streams_say_what_their_codes_are_worth():
    assert BIPOLAR.values.tolist() == [-1, 1] and BIPOLAR.bits == 1
    assert TERNARY.values.tolist() == [-1, 0, 1] and TERNARY.bits == 2
    assert unsigned(3).values.tolist() == list(range(8))
    assert signed(3).values.tolist() == list(range(-4, 4)) and signed(3).bits == 3
    assert [weight_range(bits) for bits in (1, 2, 8)] == [(-1, 1), (-2, 1), (-128, 127)]


def layer_of(**changes):
    """6 x 7 x 2 inputs, 3 x 2 windows at every second column, 2 x 1 positions and a pool of none."""
    given = {
        "name": "a",
        "weights": np.arange(-24, 24).reshape(4, 12).astype(np.int8) % 4 - 2,
        "weight_bits": 2,
        "thresholds": None,
        "input": TERNARY,
        "output": None,
        "shape": (6, 7, 2),
        "kernel": (3, 2),
        "stride": (3, 2),
        "pe": 2,
        "simd": 3,
    }
    return Mvtu(**given | changes)


def test_shapes_and_folds_by_hand():
    layer = layer_of()
    assert (layer.rows, layer.columns) == (4, 12)
    assert (layer.row_folds, layer.column_folds) == (2, 4)
    assert layer.positions == (2, 3) and layer.output_shape == (2, 3, 4)
    assert layer.macs == 6 * 48 and not layer.fully_connected
    thresholds = np.zeros((4, 1), np.int64)
    pooled = layer_of(stride=(3, 5), kernel=(3, 2), pool=2, thresholds=thresholds, output=BIPOLAR)
    assert pooled.positions == (2, 2) and pooled.output_shape == (1, 1, 4)
    assert layer_of(shape=(3, 2, 2), stride=(1, 1)).fully_connected


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulator_shift": 2, "bias": np.array([5, -3, 0, 9])},
        {"input": Stream(low=-3, step=2, top=3)},
        {
            "weights": np.where(np.arange(48).reshape(4, 12) % 3, 1, -1).astype(np.int8),
            "weight_bits": 1,
            "input": BIPOLAR,
            "accumulates": "agreement",
            "bias": np.array([1, 2, 3, -4]),
        },
    ],
    ids=["plain", "shifted", "odd steps", "agreement"],
)
def test_accumulators_are_gain_times_codes_and_an_offset(changes):
    layer, rng = layer_of(**changes), np.random.default_rng(0)
    codes = rng.integers(0, layer.input.top + 1, 12)
    window = layer.input.values[codes].tolist()
    raw = layer.weights.astype(np.int64) @ codes
    if layer.accumulates == "agreement":  # of codes 0 and 1, for which the offset is made
        assert layer.gain == 1
    expected = [accumulator(layer, row, window) for row in range(4)]
    assert (layer.gain * raw + layer.offset).tolist() == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accumulates": "agreement"}, "to count agreement"),
        ({"accumulates": "sums"}, "accumulates: expected one of agreement, product"),
        ({"pool": 3, "stride": (1, 1)}, "pool"),
        ({"thresholds": np.array([[2, 1]] * 4), "output": TERNARY}, "ascending order"),
        (
            {"thresholds": np.full((4, 1), 128), "output": BIPOLAR, "threshold_bits": 8},
            "thresholds of 8 bits",
        ),
        ({"accumulator_bits": 49}, "accumulator bits"),
    ],
)
def test_layers_that_mean_nothing_are_refused_by_name(changes, words):
    with pytest.raises(InputError, match=f"layer a.*{words}"):
        layer_of(**changes)
