"""Random FINN accelerators of many precisions and shapes, with faults, and how the twin checks them."""

from dataclasses import dataclass
from math import prod

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st

from accel_models.finn.config import FinnConfig
from accel_models.finn.layer import BIPOLAR, TERNARY, Mvtu, Stream, signed, unsigned, weight_range
from accel_models.finn.network import FinnNetwork, Head, PixelInput
from tests.helpers.finn_networks import random_weights
from tests.twins.finn import run_faulty
from xbarsim.faults.pe import PeFaultKind

# a seed says nothing more when it is smaller
FEW = settings(
    max_examples=max(1, settings.default.max_examples // 60), phases=[Phase.explicit, Phase.generate]
)
SEEDS = st.integers(0, 2**32 - 1)
FIXED, BITS, IMAGES = PixelInput(kind="fixed-point"), PixelInput(kind="bipolar"), (5, 6, 2)


@dataclass(frozen=True)
class Case:
    """A precision and a shape; `random_network_of` draws the rest.

    Parameters
    ----------
    chain : (rows, kernel, stride, pool) of every layer
    weight_bits : of every layer
    streams : after every layer; None for accumulators
    """

    weight_bits: tuple[int, ...]
    streams: tuple[Stream | None, ...]
    chain: tuple[tuple[int, tuple[int, int], tuple[int, int], int], ...]
    pixels: PixelInput = FIXED
    image: tuple[int, int, int] = IMAGES
    padding: int = 0
    product: bool = False
    inclusive: bool = False
    bias: bool = False
    shift: int = 0
    floor: int | None = None


def convolutions(bits, stream, last=None, **options):
    """5 x 6 x 2 images; a convolution and a pool, another convolution, two fully connected layers."""
    bits = (bits,) * 4 if isinstance(bits, int) else bits
    chain = (
        (4, (2, 3), (1, 1), 2),
        (6, (2, 1), (1, 1), 1),
        (8, (1, 2), (1, 1), 1),
        (6, (1, 1), (1, 1), 1),
    )
    return Case(bits, (stream, stream, stream, last), chain, **options)


def strides(bits, stream, last=None, **options):
    """6 x 7 x 3 images; strides, a pool behind a convolution with a stride, a fully connected layer."""
    chain = (
        (5, (2, 1), (2, 2), 1),
        (6, (2, 2), (1, 2), 2),
        (9, (1, 1), (1, 1), 1),
    )
    return Case((bits,) * 3, (stream, stream, last), chain, image=(6, 7, 3), **options)


def lines(bits, streams, rows, **options):
    """9 x 7 x 1 images of one bit a pixel; fully connected layers, wider than a word of 64."""
    chain = tuple((count, (1, 1), (1, 1), 1) for count in rows)
    return Case((bits,) * len(rows), streams, chain, BITS, (9, 7, 1), 5, **options)


U2, U3, U4, ODD = unsigned(2), unsigned(3), unsigned(4), Stream(low=-3, step=2, top=3)


CASES = {
    "w1a1": convolutions(1, BIPOLAR, shift=1),
    "w1a1 product": convolutions(1, BIPOLAR, product=True, inclusive=True, shift=1),
    "w1a1 agreement in layer 0": convolutions(1, BIPOLAR, pixels=BITS, bias=True),
    "w1a1 inclusive": convolutions(1, BIPOLAR, inclusive=True, floor=5),
    "w1a1 lines": lines(1, (BIPOLAR, BIPOLAR, None), (66, 70, 12)),
    "w1a1 highest bit": lines(1, (BIPOLAR, BIPOLAR, BIPOLAR), (66, 10, 8)),
    "w1a2 ternary": convolutions(1, TERNARY, shift=1),
    "w1a2 unsigned": convolutions(1, U2, inclusive=True),
    "w1a2 lines": lines(1, (TERNARY, TERNARY, TERNARY), (68, 10, 8)),
    "w1a3": convolutions(1, U3, pixels=PixelInput(kind="unsigned", bits=3)),
    "w1a2 odd": convolutions(1, ODD, bias=True),
    "w2a1": convolutions(2, BIPOLAR, shift=1, bias=True),
    "w2a2": convolutions(2, TERNARY, inclusive=True, pixels=PixelInput(kind="fixed-point", bits=4)),
    "w2a2 highest bit": convolutions(2, TERNARY, TERNARY, pixels=BITS),
    "w2a3 lines": lines(2, (U3, U3, None), (66, 9, 7), inclusive=True),
    "w3a2": convolutions(3, U2, floor=0, pixels=PixelInput(kind="unsigned", bits=8)),
    "w3a3": convolutions(3, U3, BIPOLAR, inclusive=True),
    "w3a2 odd": convolutions(3, ODD, U2, shift=2),
    "w4a4": convolutions(4, U4, bias=True),
    "w4a4 signed": convolutions(4, signed(4), inclusive=True, shift=1),
    "w8a1": convolutions(8, BIPOLAR),
    "w8a4": convolutions(8, U4, U4, bias=True, inclusive=True),
    "w1a1 strides": strides(1, BIPOLAR),
    "w2a2 strides": strides(2, TERNARY, U2, pixels=BITS),
    "w8a3 strides": strides(8, U3, inclusive=True),
    "w1a1 two layers": lines(1, (BIPOLAR, None), (20, 130)),
    "w2a1 wide": lines(2, (BIPOLAR, BIPOLAR, None), (140, 70, 6)),
    "mixed": convolutions((8, 1, 3, 2), BIPOLAR, shift=1),
}


def random_network_of(case, rng):
    """Random weights, foldings and widths; thresholds that random inputs reach exactly."""
    height, width, channels = case.image
    shape = (1, 1, prod(case.image) + case.padding) if case.padding else (height, width, channels)
    stream, layers = case.pixels.stream, []
    for place, (bits, out, plan) in enumerate(zip(case.weight_bits, case.streams, case.chain, strict=True)):
        layers.append(_layer(rng, case, place, shape, bits, stream, out, plan))
        shape, stream = layers[-1].output_shape, out
    kind = "first-maximum" if stream is None else "highest-bit"
    head = Head(kind=kind, classes=shape[2] - int(rng.integers(3)), floor=case.floor)
    return FinnNetwork(name="random", layers=tuple(layers), image=case.image, pixels=case.pixels, head=head)


def _layer(rng, case, place, shape, bits, stream, out, plan):
    rows, kernel, stride, pool = plan
    columns = prod(kernel) * shape[2]
    weights = random_weights(rng, (rows, columns), bits)
    agreement = bits == 1 and stream == BIPOLAR and not case.product
    last = place == len(case.chain) - 1
    windows = stream.values[rng.integers(0, stream.top + 1, (50, columns))]
    sums = (windows @ weights.T.astype(np.int64)) << case.shift  # (50, rows)
    if agreement:
        sums = (columns + windows @ weights.T.astype(np.int64)) // 2
    thresholds = None
    if out is not None:
        picked = rng.integers(0, 50, (rows, out.top))
        thresholds = np.sort(
            sums[picked, np.arange(rows)[:, None]] + rng.integers(-1, 2, picked.shape), axis=1
        )
    most = max(abs(v) for v in weight_range(bits)) * int(np.abs(stream.values).max()) * columns
    wide = ((most << case.shift) + 10).bit_length() + 1
    return Mvtu(
        name=str(place),
        weights=weights,
        weight_bits=bits,
        thresholds=thresholds,
        input=stream,
        output=out,
        shape=shape,
        kernel=kernel,
        stride=stride,
        pool=pool,
        accumulates="agreement" if agreement else "product",
        accumulator_shift=0 if agreement else case.shift,
        accumulator_bits=wide + int(rng.integers(3)),
        threshold_bits=wide + int(rng.integers(3)),
        bias=rng.integers(-9, 10, rows) if case.bias and last and out is None else None,
        inclusive=case.inclusive,
        pe=_divisor(rng, rows),
        simd=_divisor(rng, columns),
    )


def _divisor(rng, number):
    return int(rng.choice([d for d in range(1, number + 1) if number % d == 0]))


def random_design(case, rng, loopback):
    """A dataflow accelerator, or the shared array of a loopback one, of any size."""
    network = random_network_of(case, rng)
    shared = (int(rng.integers(1, 10)), int(rng.integers(1, 14))) if loopback else None
    return FinnConfig(loopback=shared).program(network)


def random_images(network, count, rng):
    return rng.integers(0, 256, (count, *network.image), np.uint8)


def some_faults(design, kind, count, images, rng):
    """Faults of one kind, half of them transient; half of those of a shared array sit in one layer."""
    every = design.fault_list([kind])
    if not len(every):
        return every
    found = every.sample(min(count, len(every)), rng)
    usable = [i for i, own in enumerate(design.geometry.layers) if own.values or kind != PeFaultKind.pe]
    layers = np.where(rng.random(len(found)) < 0.5, -1, rng.choice(usable, len(found)))
    images = np.where(rng.random(len(found)) < 0.5, -1, rng.integers(0, images, len(found)))
    return found.struck(images, layers)


def without_contradictions(design, faults):
    """Faults of which no two say different things of one place."""
    kept, taken = [], set()
    for f in faults:
        layers = range(len(design.plans)) if f.layer == -1 else [f.layer]
        places = {(f.kind, layer, f.unit, f.word, f.bit) for layer in layers}
        if f.kind in (PeFaultKind.channel, PeFaultKind.pe):
            places = stuck_rows(design, f)
        if taken.isdisjoint(places):
            kept.append(f)
            taken |= places
    return kept


def stuck_rows(design, fault):
    """(layer, row) of the outputs that a channel or a PE is stuck in."""
    found = set()
    for place, layer in enumerate(design.network.layers):
        if fault.layer in (place, -1):
            pe = (design.shared or layer).pe
            own = [fault.unit] if fault.kind == PeFaultKind.channel else range(fault.unit, layer.rows, pe)
            found |= {(place, row) for row in own}
    return found


def check_against_twin(design, faults, images):
    faulty = design.inject(faults)
    scores, classes = run_faulty(design.network, images, faults, design.shared)
    assert faulty.scores(images).tolist() == scores, [str(f) for f in faults]
    assert faulty.classify(images).tolist() == classes, [str(f) for f in faults]


parametrize_cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


parametrize_designs = pytest.mark.parametrize("loopback", [False, True], ids=["dataflow", "loopback"])
