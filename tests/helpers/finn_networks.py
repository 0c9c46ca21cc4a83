"""Networks with random weights, for the tests: the five shipped ones and a small one of any precision."""

from __future__ import annotations

import numpy as np

from accel_models.finn.floats import FloatPixels
from accel_models.finn.layer import BIPOLAR, TERNARY, IntArray, Mvtu, Stream, unsigned, weight_range
from accel_models.finn.network import FinnNetwork, Head, PixelInput
from accel_models.finn.presets import LayerShape, preset


def random_network(name: str, rng: np.random.Generator) -> FinnNetwork:
    """A shipped network, by its preset's name, with random weights and sorted random thresholds."""
    board = preset(name)
    return FinnNetwork(
        name=board.name,
        layers=tuple(_preset_layer(str(place), shape, rng) for place, shape in enumerate(board.layers)),
        image=board.image,
        pixels=board.pixels,
        head=board.head,
        floats=FloatPixels(low=board.value_range[0], high=board.value_range[1]),
        first_layer_interval=board.first_layer_interval,
        class_text="".join(f"class {i}\n" for i in range(board.head.classes)),
    )


def small_network(
    rng: np.random.Generator,
    weight_bits: int = 1,
    activation_bits: int = 1,
    *,
    stream: Stream | None = None,
    product: bool = False,
    inclusive: bool = False,
) -> FinnNetwork:
    """8 x 8 x 3 images, convolution and pool, convolution, two fully connected layers, 10 classes.

    Parameters
    ----------
    weight_bits, activation_bits : 1..8 each; 1-bit activations are bipolar, 2-bit ternary, others unsigned
    stream : the activations' values, instead of `activation_bits`
    product : add products even where weights and activations of one bit could count agreement
    """
    if stream is None:
        stream = {1: BIPOLAR, 2: TERNARY}.get(activation_bits, unsigned(activation_bits))
    pixels = PixelInput(kind="fixed-point", bits=8)
    agrees = weight_bits == 1 and stream == BIPOLAR and not product
    # rows, input shape, kernel, pool, PE, SIMD
    plan = (
        (8, (8, 8, 3), 3, 2, 4, 3),
        (12, (3, 3, 8), 2, 1, 3, 4),
        (16, (2, 2, 12), 2, 1, 2, 6),
        (12, (1, 1, 16), 1, 1, 4, 4),
    )
    layers = tuple(
        _layer(
            str(place),
            LayerShape(
                rows=rows,
                shape=shape,
                kernel=kernel,
                pool=pool,
                pe=pe,
                simd=simd,
                weight_bits=weight_bits,
                input=stream if place else pixels.stream,
                output=stream if place < 3 else None,
                accumulates="agreement" if place and agrees else "product",
                accumulator_shift=0 if place else 1,
            ),
            random_weights(rng, (rows, kernel**2 * shape[2]), weight_bits),
            rng,
            inclusive,
        )
        for place, (rows, shape, kernel, pool, pe, simd) in enumerate(plan)
    )
    return FinnNetwork(
        name="small",
        layers=layers,
        image=(8, 8, 3),
        pixels=pixels,
        head=Head(kind="first-maximum", classes=10),
        class_text="".join(f"class {i}\n" for i in range(10)),
    )


def random_weights(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> np.ndarray:
    """-1 and +1 for one bit, else any number of so many bits."""
    if bits == 1:
        return rng.choice(np.array([-1, 1], np.int8), shape)
    low, high = weight_range(bits)
    return rng.integers(low, high + 1, shape).astype(np.int8)


def _preset_layer(name: str, shape: LayerShape, rng: np.random.Generator) -> Mvtu:
    """The boards' 2-bit weights are -1, 0 and +1, never -2."""
    values = np.array([-1, 1] if shape.weight_bits == 1 else [-1, 0, 1], np.int8)
    return _layer(name, shape, rng.choice(values, (shape.rows, shape.columns)), rng, False, shape.wide_bits)


def _layer(
    name: str,
    shape: LayerShape,
    weights: np.ndarray,
    rng: np.random.Generator,
    inclusive: bool,
    wide_bits: int | None = None,
) -> Mvtu:
    low, high = _reach(weights, shape)
    wide = max(-low, high + 1).bit_length() + 1 if wide_bits is None else wide_bits
    return Mvtu(
        name=name,
        weights=weights,
        weight_bits=shape.weight_bits,
        thresholds=_thresholds(weights, shape, rng),
        input=shape.input,
        output=shape.output,
        shape=shape.shape,
        kernel=(shape.kernel, shape.kernel),
        pool=shape.pool,
        accumulates=shape.accumulates,  # type: ignore[arg-type]
        accumulator_shift=shape.accumulator_shift,
        accumulator_bits=wide,
        threshold_bits=wide,
        inclusive=inclusive,
        pe=shape.pe,
        simd=shape.simd,
    )


def _reach(weights: np.ndarray, shape: LayerShape) -> tuple[int, int]:
    """Bounds of the accumulator."""
    if shape.accumulates == "agreement":
        return 0, shape.columns
    values = shape.input.values
    most = int(np.abs(weights.astype(np.int64)).sum(axis=1).max()) * int(np.abs(values).max())
    return -most << shape.accumulator_shift, most << shape.accumulator_shift


def _thresholds(weights: np.ndarray, shape: LayerShape, rng: np.random.Generator) -> IntArray | None:
    """Sorted, and where random inputs put the accumulators, so that every activation occurs."""
    if shape.output is None:
        return None
    values = shape.input.values.astype(float)
    sums = weights.sum(axis=1) * values.mean() * (1 << shape.accumulator_shift)
    spread = np.sqrt((weights.astype(float) ** 2).sum(axis=1)) * values.std() * (1 << shape.accumulator_shift)
    if shape.accumulates == "agreement":
        sums, spread = (sums + shape.columns) / 2, spread / 2
    drawn = rng.normal(sums[:, None], spread[:, None], (shape.rows, shape.output.top))
    return np.sort(np.rint(drawn).astype(np.int64), axis=1)
