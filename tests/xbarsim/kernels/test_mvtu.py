"""Packed matrix-vector-threshold units equal their twin, and codes are counts of thresholds."""

import numpy as np
import pytest

from accel_models.finn.config import FinnConfig
from accel_models.finn.layer import BIPOLAR, TERNARY, unsigned
from tests.helpers.finn_networks import small_network
from tests.twins.finn import pixel_codes, run_network
from xbarsim.kernels.mvtu import look_up, write_codes


@pytest.mark.parametrize(
    ("weight_bits", "stream", "more"),
    [
        (1, BIPOLAR, {}),
        (1, BIPOLAR, {"product": True}),
        (1, TERNARY, {}),
        (2, TERNARY, {}),
        (1, unsigned(3), {}),
        (3, unsigned(2), {"inclusive": True}),
        (8, unsigned(8), {}),
    ],
)
def test_every_kind_of_product_is_the_twins(weight_bits, stream, more):
    rng = np.random.default_rng(weight_bits)
    network = small_network(rng, weight_bits, stream=stream, **more)
    pixels = rng.integers(0, 256, (3, 3, 8, 8))
    run = FinnConfig().program(network).run(pixels / 255)
    sums, classes = run_network(network, pixels.transpose(0, 2, 3, 1))
    assert run.classes.tolist() == list(classes)
    assert (sums[-1] != sums[-1][0]).any(), "the images lead to different scores"
    assert pixel_codes(network, pixels.transpose(0, 2, 3, 1)).shape == (3, 8, 8, 3)


@pytest.mark.parametrize("kind", [np.int16, np.int32])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_codes_are_the_counts_of_exceeded_thresholds(kind, count):
    rng = np.random.default_rng(count)
    lanes, planes = 128, max(1, count.bit_length())
    sums = rng.integers(-20, 20, lanes + 3).astype(kind)
    thresholds = np.sort(rng.integers(-20, 20, (count, lanes)), axis=0).astype(kind)
    out = np.full(planes * lanes // 64 + 2, 5, np.int64)
    write_codes(out, 1, sums, 3, thresholds.reshape(-1), 0, count, lanes, planes)
    for lane in range(lanes):
        words = [int(out[1 + plane * lanes // 64 + lane // 64]) for plane in range(planes)]
        code = sum((word >> lane % 64 & 1) << plane for plane, word in enumerate(words))
        assert code == sum(sums[3 + lane] > t for t in thresholds[:, lane])
    assert out[0] == out[-1] == 5


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_pixels_are_looked_up(kind):
    rng = np.random.default_rng(0)
    pixels, table = rng.integers(0, 256, (4, 300)).astype(np.uint8), rng.integers(-99, 99, 256).astype(kind)
    out = np.zeros((4, 300), kind)
    look_up(pixels, table, out)
    assert (out == table[pixels]).all()
