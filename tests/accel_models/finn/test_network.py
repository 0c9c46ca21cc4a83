"""Networks as data: what enters them, how layers follow on one another, how a class comes out."""

from dataclasses import replace

import numpy as np
import pytest

from accel_models.finn.layer import BIPOLAR, unsigned
from accel_models.finn.network import FinnNetwork, Head, PixelInput
from tests.helpers.finn_networks import small_network
from tests.twins.finn import pixel_codes, read_class
from xbarsim.errors import InputError


@pytest.fixture(scope="module")
def small():
    return small_network(np.random.default_rng(0), 2, 2)


@pytest.mark.parametrize("kind", ["fixed-point", "unsigned"])
@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_every_pixel_has_the_code_of_the_boards_formula(small, kind, bits):
    pixels = PixelInput(kind=kind, bits=bits)
    layer = replace(small.layers[0], shape=(1, 256, 1), kernel=(1, 27), pool=1, input=pixels.stream)
    line = FinnNetwork(
        name="line",
        layers=(replace(layer, thresholds=None, output=None, shape=(1, 27, 1)),),
        image=(1, 27, 1),
        pixels=pixels,
        head=Head(classes=8),
    )
    for start in range(0, 256, 27):
        shown = np.arange(start, start + 27).clip(0, 255).astype(np.uint8).reshape(1, 1, 27, 1)
        assert (pixels.codes[shown] == pixel_codes(line, shown)).all()
    assert pixels.codes.max() == pixels.stream.top


def test_bipolar_pixels_turn_at_128():
    codes = PixelInput(kind="bipolar").codes
    assert codes.tolist() == [0] * 128 + [1] * 128 and PixelInput(kind="bipolar").stream == BIPOLAR


@pytest.mark.parametrize(
    "head", [Head(classes=4), Head(classes=3, floor=0), Head(kind="highest-bit", classes=4)]
)
def test_classes_are_those_of_the_host(head):
    rng = np.random.default_rng(1)
    scores = rng.integers(0 if head.kind == "highest-bit" else -2, 2, (60, 5))
    assert head.classify(scores).tolist() == [read_class(head, row) for row in scores.tolist()]


def test_another_folding_is_the_same_network(small):
    folded = small.folded([(1, 1)] * 4)
    assert [(m.pe, m.simd) for m in folded.layers] == [(1, 1)] * 4
    assert all((a.weights == b.weights).all() for a, b in zip(folded.layers, small.layers, strict=True))
    with pytest.raises(InputError, match="folding: expected 4 layers, got 3"):
        small.folded([(1, 1)] * 3)


def test_inputs_are_channels_first_and_classes_have_names(small):
    assert small.input_shape == (3, 8, 8) and small.classes[:2] == ("class 0", "class 1")
    floats = np.random.default_rng(2).integers(0, 256, (2, 3, 8, 8)) / 255
    assert (small.to_pixels(floats) == np.rint(255 * floats).transpose(0, 2, 3, 1)).all()
    assert len(small.plans) == 4 and small.plans is small.plans and small.plans[0].integers


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n: {"layers": ()}, "network small: expected at least one layer"),
        (lambda n: {"image": (8, 8, 4)}, r"layer 0: expected an input of \(8, 8, 4\)"),
        (lambda n: {"pixels": PixelInput(kind="unsigned")}, "layer 0: expected input values"),
        (lambda n: {"layers": (n.layers[0], *n.layers[2:])}, "layer 2: expected the input"),
        (
            lambda n: {"layers": (*n.layers[:2], replace(n.layers[2], input=unsigned(2)), n.layers[3])},
            "layer 2: expected the input",
        ),
        (
            lambda n: {"layers": (n.layers[0], replace(n.layers[1], name="0"), *n.layers[2:])},
            "names of their own",
        ),
        (lambda n: {"layers": n.layers[:3]}, "layer 2: expected one position|thresholds in the last layer"),
        (
            lambda n: {"layers": (replace(n.layers[0], thresholds=None, output=None, pool=1), *n.layers[1:])},
            "thresholds, as it is not the last",
        ),
        (lambda n: {"head": Head(classes=13)}, "at least 13 rows"),
        (lambda n: {"head": Head(kind="highest-bit")}, "only if, the head reads bits"),
        (lambda n: {"flat": True}, "flat inputs of shape"),
    ],
)
def test_what_is_no_chain_is_refused(small, change, words):
    with pytest.raises(InputError, match=words):
        replace(small, **change(small))
