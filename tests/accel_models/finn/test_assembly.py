"""Layers built one operator at a time: what each appends, and the first that no dataflow holds."""

import numpy as np
import pytest

from accel_models.finn.assembly import WIDEST, LayerChain, sum_range
from accel_models.finn.layer import BIPOLAR, TERNARY, Stream, signed, unsigned
from tests.twins.finn import run_layer
from xbarsim.errors import InputError


def chain(stream=TERNARY, shape=(4, 4, 2)):
    return LayerChain(shape, stream)


def kernels(rows=3, side=3, channels=2, low=-2, high=2, seed=0):
    return np.random.default_rng(seed).integers(low, high, (rows, side, side, channels))


def test_products_take_the_narrowest_weights_and_their_shape():
    made = chain()
    made.multiply("here", "a", kernels(low=-3, high=4))
    (layer,) = made.layers
    assert (layer.weight_bits, layer.rows, layer.columns) == (3, 3, 18)
    assert made.shape == (2, 2, 3) and made.stream is None
    ones = chain(BIPOLAR)
    ones.multiply("here", "a", np.sign(kernels() * 2 + 1), stride=(1, 1))
    assert ones.layers[0].weight_bits == 1
    wide = chain()
    wide.multiply("here", "a", kernels(), weight_bits=6)
    assert wide.layers[0].weight_bits == 6


def test_accumulators_are_as_wide_as_their_largest_sum():
    """18 weights of 1 times 3: -54 .. 54, and one below for thresholds, takes 7 bits."""
    made = chain(Stream(low=-3, step=2, top=3))
    made.multiply("here", "a", np.ones((1, 3, 3, 2), int))
    low, high = sum_range(made.layers[0])
    assert (low.tolist(), high.tolist()) == ([-54], [54])
    assert made.layers[0].accumulator_bits == 7


def test_thresholds_swallow_the_bias_and_the_sign():
    made, rng = chain(), np.random.default_rng(1)
    weights, bias, sign = kernels(), np.array([4, -1, 0]), np.array([1, -1, 1])
    limits = np.sort(rng.integers(-6, 6, (3, 3)), axis=1)
    made.multiply("here", "a", weights, bias=bias)
    made.threshold("there", limits, unsigned(2), sign=sign)
    (layer,) = made.layers
    assert layer.bias is None and made.stream == unsigned(2)
    codes = rng.integers(0, 3, (1, 4, 4, 2))
    plain = chain()
    plain.multiply("here", "a", weights, bias=bias)
    sums = run_layer(plain.layers[0], codes)[0] * sign
    expected = (sums[..., None] > limits).sum(axis=-1)
    np.testing.assert_array_equal(run_layer(layer, codes)[1], expected)


def test_a_negated_least_weight_takes_a_bit_more():
    made = chain(shape=(1, 1, 1))
    made.multiply("here", "a", np.full((1, 1, 1, 1), -2), weight_bits=2)
    made.threshold("there", np.zeros((1, 1), int), BIPOLAR, sign=np.array([-1]))
    assert made.layers[0].weight_bits == 3 and made.layers[0].weights.tolist() == [[2]]


def test_relu_leaves_what_is_above_zero():
    made = chain()
    made.multiply("here", "a", kernels())
    made.threshold("there", np.arange(7)[None].repeat(3, axis=0), signed(3))
    made.relu("relu")
    assert made.stream == unsigned(2) and made.layers[0].thresholds.tolist() == [[4, 5, 6]] * 3
    made.relu("relu")  # again changes nothing
    assert made.stream == unsigned(2)


def test_pool_and_last_bias():
    made = chain()
    made.multiply("here", "a", kernels())
    made.threshold("there", np.zeros((3, 1), int), BIPOLAR)
    made.pool("pool", 2)
    assert made.shape == (1, 1, 3) and made.layers[0].pool == 2
    made.multiply("last", "b", kernels(4, 1, 3))
    layers = made.biased("end", np.array([0, 1, 2, -9]), 2)
    assert layers[1].bias.tolist() == [0, 1, 2, -9] and layers[1].accumulator_shift == 2
    assert len(layers) == len(made.layers) == 2


def product(made):
    made.multiply("here", "a", kernels())
    return made


def thresholded(made):
    product(made).threshold("there", np.zeros((3, 1), int), BIPOLAR)
    return made


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: product(product(chain())), "here: expected activations .* put a quantizer between"),
        (lambda: chain().multiply("here", "a", kernels(channels=3)), "here: expected weights for 2 channels"),
        (lambda: chain().multiply("here", "a", kernels(high=200)), "weights of at most 8 bits"),
        (lambda: chain().multiply("here", "a", kernels(), weight_bits=1), r"weights of -1 and \+1"),
        (lambda: chain().multiply("here", "a", kernels(high=5), weight_bits=2), r"weights in -2\.\.1"),
        (lambda: chain().threshold("there", np.zeros((3, 1), int), BIPOLAR), "there: expected a product"),
        (lambda: product(chain()).threshold("there", np.zeros((2, 1), int), BIPOLAR), r"thresholds \(3, 1\)"),
        (lambda: product(chain()).relu("relu"), "relu: expected a ReLU after thresholds"),
        (lambda: thresholded(chain()).relu("relu"), "steps of 1"),
        (lambda: chain().pool("pool", 2), "pool: expected a max-pool after thresholds"),
        (lambda: thresholded(chain()).pool("pool", 3), "divides the 2 x 2 positions"),
        (lambda: chain().finish("end"), "end: expected a product as the last layer"),
        (lambda: thresholded(chain()).finish("end"), "end: expected a product as the last layer"),
        (lambda: product(chain()).finish("end"), "one position, got 2 x 2"),
    ],
)
def test_what_no_dataflow_holds_is_refused_by_its_operator(act, words):
    with pytest.raises(InputError, match=words):
        act()


def test_sums_beyond_the_widest_accumulator_are_refused():
    made = chain(shape=(1, 1, 2))
    made.multiply("here", "a", kernels(1, 1))
    with pytest.raises(InputError, match=f"accumulators of at most {WIDEST} bits"):
        made.biased("end", np.array([1 << 50]), 0)


def test_two_pools_in_a_layer_are_refused():
    made = thresholded(chain(shape=(6, 6, 2)))
    made.pool("pool", 2)
    with pytest.raises(InputError, match="one max-pool a layer"):
        made.pool("again", 2)
