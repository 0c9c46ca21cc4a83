"""A network on a FINN accelerator: a chain of MVTUs, what enters it, and how a class comes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.floats import FloatPixels, Floats
from accel_models.finn.layer import BIPOLAR, IntArray, Mvtu, Stream, signed, unsigned
from accel_models.finn.plan import LayerPlan
from xbarsim.arrays import check_inputs
from xbarsim.errors import InputError, check_choice, check_int


@dataclass(frozen=True, kw_only=True)
class PixelInput:
    """How the host turns a pixel of 0..255 into an input.

    `fixed-point` : clip(floor(2**(bits-1) (2 c / 255 - 1) + 1/2)), a signed number
    `bipolar` : +1 from 128 on, else -1; the image is one line of channels, padded with -1
    `unsigned` : c >> (8 - bits)
    """

    kind: Literal["fixed-point", "bipolar", "unsigned"] = "fixed-point"
    bits: int = 8

    def __post_init__(self) -> None:
        check_choice("PixelInput.kind", self.kind, ("fixed-point", "bipolar", "unsigned"))
        check_int("PixelInput.bits", self.bits, 1, 8)

    @property
    def stream(self) -> Stream:
        """The values that enter the first layer."""
        if self.kind == "bipolar":
            return BIPOLAR
        return signed(self.bits) if self.kind == "fixed-point" else unsigned(self.bits)

    @property
    def codes(self) -> NDArray[np.uint8]:
        """(256,): the code of every pixel value."""
        pixel = np.arange(256)
        if self.kind == "bipolar":
            return (pixel >= 128).astype(np.uint8)
        if self.kind == "unsigned":
            return (pixel >> (8 - self.bits)).astype(np.uint8)
        half = 1 << (self.bits - 1)
        # half * (2 c / 255 - 1) + 1/2 = (half * (4 c - 510) + 255) / 510, in integers
        value = (half * (4 * pixel - 510) + 255) // 510
        return (np.clip(value, -half, half - 1) + half).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Head:
    """How the host reads the class from the last layer's first `classes` rows.

    `first-maximum` : the first largest accumulator that is above `floor`, class 0 if none is
    `highest-bit` : the highest row whose activation is above its lowest, class 0 if none is
    """

    kind: Literal["first-maximum", "highest-bit"] = "first-maximum"
    classes: int = 10
    floor: int | None = None

    def __post_init__(self) -> None:
        check_choice("Head.kind", self.kind, ("first-maximum", "highest-bit"))
        check_int("Head.classes", self.classes, 1, 10**6)

    def classify(self, scores: IntArray) -> IntArray:
        """(N,) classes of (N, rows) accumulators, or of codes for `highest-bit`.

        >>> Head(floor=0).classify(np.array([[-3, -1], [2, 5]])).tolist()
        [0, 1]
        >>> Head(kind="highest-bit", classes=3).classify(np.array([[1, 1, 0], [0, 0, 0]])).tolist()
        [1, 0]
        """
        shown = scores[:, : self.classes]
        if self.kind == "highest-bit":
            place = np.arange(1, shown.shape[1] + 1)
            return np.maximum(((shown > 0) * place).max(axis=1) - 1, 0)
        best = shown.argmax(axis=1)
        if self.floor is None:
            return best
        return np.where(shown.max(axis=1) > self.floor, best, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class FinnNetwork:
    """Layers in the order of the data; each one's input is the one before's output.

    Parameters
    ----------
    image : (height, width, channels) of the images, before padding
    floats : what the floats are that the network was trained on, and that pixels stand for
    flat : its inputs are (N, features) floats, not (N, channels, height, width)
    first_layer_interval : cycles that a fold of the first layer takes; see `BoardPreset`
    class_text : the names of the classes, a line each, as a board's classes.txt holds them
    """

    name: str
    layers: tuple[Mvtu, ...]
    image: tuple[int, int, int]
    pixels: PixelInput = PixelInput()
    head: Head = Head()
    floats: Floats = field(default_factory=FloatPixels)
    flat: bool = False
    first_layer_interval: int = 1
    class_text: str = ""

    def __post_init__(self) -> None:
        if not self.layers:
            raise InputError(f"network {self.name}", "at least one layer", "none")
        if self.flat and self.image[:2] != (1, 1):
            raise InputError(f"network {self.name}", "flat inputs of shape (1, 1, features)", str(self.image))
        self._check_chain()
        last = self.layers[-1]
        if self.head.classes > last.rows or last.positions != (1, 1):
            expected = f"one position with at least {self.head.classes} rows"
            raise InputError(f"layer {last.name}", expected, f"{last.positions} with {last.rows}")
        if (self.head.kind == "highest-bit") != (last.output is not None):
            expected = "thresholds in the last layer if, and only if, the head reads bits"
            raise InputError(f"network {self.name}", expected, self.head.kind)

    def _check_chain(self) -> None:
        first = self.layers[0]
        padded = first.shape[:2] == (1, 1) and first.shape[2] >= int(np.prod(self.image))
        if first.shape != self.image and not padded:
            raise InputError(f"layer {first.name}", f"an input of {self.image}", str(first.shape))
        if first.input != self.pixels.stream:
            raise InputError(f"layer {first.name}", f"input values {self.pixels.stream}", str(first.input))
        for before, after in zip(self.layers, self.layers[1:], strict=False):
            if before.output is None:
                raise InputError(f"layer {before.name}", "thresholds, as it is not the last", "none")
            if before.output_shape != after.shape or before.output != after.input:
                expected = f"the input {before.output_shape} {before.output} of layer {before.name}"
                raise InputError(f"layer {after.name}", expected, f"{after.shape} {after.input}")
        if len({layer.name for layer in self.layers}) < len(self.layers):
            raise InputError(f"network {self.name}", "layers with names of their own", "a name twice")

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; none if they are not known."""
        return tuple(self.class_text.splitlines())

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input of floats: (channels, height, width), or (features,)."""
        height, width, channels = self.image
        return (channels,) if self.flat else (channels, height, width)

    @cached_property
    def plans(self) -> tuple[LayerPlan, ...]:
        """The layers, ready for the kernels; every chip with the network shares them."""
        first = LayerPlan(self.layers[0], integers=self.layers[0].input.bits > 1)
        return (first, *map(LayerPlan, self.layers[1:]))

    def folded(self, folding: Iterable[tuple[int, int]]) -> FinnNetwork:
        """The same network with another (PE, SIMD) for each layer."""
        pairs = list(folding)
        if len(pairs) != len(self.layers):
            raise InputError("folding", f"{len(self.layers)} layers", len(pairs))
        layers = [replace(m, pe=pe, simd=simd) for m, (pe, simd) in zip(self.layers, pairs, strict=True)]
        return replace(self, layers=tuple(layers))

    def to_pixels(self, inputs: NDArray) -> NDArray[np.uint8]:
        """Return the (N, height, width, channels) bytes that (N, *input_shape) floats stand for.

        Raises
        ------
        InputError : floats of another shape, none, not finite real numbers, out of range; see `floats`.
        """
        height, width, channels = self.image
        found = self.floats.pixels(check_inputs(inputs, self.input_shape))
        return found.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)

    def check_pixels(self, images: NDArray) -> NDArray[np.uint8]:
        """(N, height, width, channels) bytes as the boards read them; anything else is refused."""
        found = np.asarray(images)
        if found.dtype != np.uint8:
            raise InputError("images", "pixels of 0..255 as uint8", str(found.dtype))
        if found.shape[1:] != self.image:
            expected = f"shape (N, {', '.join(map(str, self.image))})"
            raise InputError(f"images for {self.name}", expected, str(found.shape), "choose its data set")
        if len(found) == 0:
            raise InputError("images", "at least one", "none")
        return found
