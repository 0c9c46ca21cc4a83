"""The five networks that Xilinx shipped for its boards: their layers, precisions and foldings.

Source: Xilinx/BNN-PYNQ; FINN-R (Blott et al., TRETS 2018), the tables of the shipped bitstreams.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accel_models.finn.layer import BIPOLAR, TERNARY, Stream
from accel_models.finn.network import Head, PixelInput
from xbarsim.errors import InputError

Shape = tuple[int, int, int]
_CNV_LAYERS: tuple[tuple[int, Shape, int, int], ...] = (  # rows, input shape, kernel, pool
    (64, (32, 32, 3), 3, 1),
    (64, (30, 30, 64), 3, 2),
    (128, (14, 14, 64), 3, 1),
    (128, (12, 12, 128), 3, 2),
    (256, (5, 5, 128), 3, 1),
    (256, (3, 3, 256), 3, 1),
    (512, (1, 1, 256), 1, 1),
    (512, (1, 1, 512), 1, 1),
    (64, (1, 1, 512), 1, 1),
)
_CNV_PE_SIMD = ((16, 3), (32, 32), (16, 32), (16, 32), (4, 32), (1, 32), (1, 4), (1, 8), (4, 1))
_CNV_PE_SIMD_W2A2 = ((8, 3), (16, 16), (8, 16), (8, 16), (4, 8), (1, 8), (1, 2), (2, 2), (4, 1))
_LFC_LAYERS: tuple[tuple[int, Shape, int, int], ...] = (
    (1024, (1, 1, 832), 1, 1),
    (1024, (1, 1, 1024), 1, 1),
    (1024, (1, 1, 1024), 1, 1),
    (64, (1, 1, 1024), 1, 1),
)
_LFC_PE_SIMD = ((32, 64), (64, 32), (32, 64), (16, 8))


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """What a board's bitstream fixes of a layer; the parameter files bring weights and thresholds."""

    rows: int
    shape: Shape
    kernel: int
    pool: int
    pe: int
    simd: int
    weight_bits: int
    input: Stream
    output: Stream | None
    accumulates: str
    accumulator_shift: int = 0
    wide_bits: int = 16

    @property
    def columns(self) -> int:
        """MW."""
        return self.kernel**2 * self.shape[2]


@dataclass(frozen=True, kw_only=True)
class BoardPreset:
    """A shipped network.

    Attributes
    ----------
    value_range : of its data set's floats, as this project loads them
    first_layer_interval : cycles that a fold of the first layer takes; 2 for LFC, whose boards measured 841
        cycles an image where the model says 512 (the first layer's 416 folds twice: 832)
    """

    name: str
    image: Shape
    pixels: PixelInput
    head: Head
    layers: tuple[LayerShape, ...]
    dataset: str
    value_range: tuple[float, float]
    first_layer_interval: int = 1


def presets() -> dict[str, BoardPreset]:
    """The five networks by name."""
    boards = [_cnv("cnvW1A1", 1, BIPOLAR), _cnv("cnvW1A2", 1, TERNARY), _cnv("cnvW2A2", 2, TERNARY)]
    boards += [_lfc("lfcW1A1", BIPOLAR), _lfc("lfcW1A2", TERNARY)]
    return {board.name: board for board in boards}


def preset(name: str) -> BoardPreset:
    """Look one up."""
    known = presets()
    if name not in known:
        raise InputError("board network", "one of " + ", ".join(known), repr(name))
    return known[name]


def _cnv(name: str, weight_bits: int, stream: Stream) -> BoardPreset:
    pixels = PixelInput(kind="fixed-point", bits=8)
    folding = _CNV_PE_SIMD if weight_bits == 1 else _CNV_PE_SIMD_W2A2
    agrees = weight_bits == 1 and stream == BIPOLAR
    return BoardPreset(
        name=name,
        image=(32, 32, 3),
        pixels=pixels,
        head=Head(kind="first-maximum", floor=0),
        layers=tuple(
            LayerShape(
                rows=rows,
                shape=shape,
                kernel=kernel,
                pool=pool,
                pe=pe,
                simd=simd,
                weight_bits=weight_bits,
                input=stream if place else pixels.stream,
                output=stream if place < 8 else None,
                accumulates="agreement" if place and agrees else "product",
                accumulator_shift=0 if place else 1,
                wide_bits=16 if place else 24,
            )
            for place, ((rows, shape, kernel, pool), (pe, simd)) in _paired(_CNV_LAYERS, folding)
        ),
        dataset="cifar10",
        value_range=(-0.5, 0.5),
    )


def _lfc(name: str, stream: Stream) -> BoardPreset:
    pixels = PixelInput(kind="bipolar")
    return BoardPreset(
        name=name,
        image=(28, 28, 1),
        pixels=pixels,
        head=Head(kind="highest-bit"),
        layers=tuple(
            LayerShape(
                rows=rows,
                shape=shape,
                kernel=kernel,
                pool=pool,
                pe=pe,
                simd=simd,
                weight_bits=1,
                input=stream if place else BIPOLAR,
                output=stream if place < 3 else BIPOLAR,
                accumulates="agreement" if stream == BIPOLAR else "product",
            )
            for place, ((rows, shape, kernel, pool), (pe, simd)) in _paired(_LFC_LAYERS, _LFC_PE_SIMD)
        ),
        dataset="mnist",
        value_range=(0.0, 1.0),
        first_layer_interval=2,
    )


def _paired(
    layers: tuple[tuple[int, Shape, int, int], ...], folding: tuple[tuple[int, int], ...]
) -> Iterator[tuple[int, tuple[tuple[int, Shape, int, int], tuple[int, int]]]]:
    return enumerate(zip(layers, folding, strict=True))
