"""Cycles of a FINN accelerator: of each unit, between two images, and from first pixel to class.

Two images are as far apart as the slowest unit takes (the interval); the board's first LFC layer is a known
exception, which `first_layer_interval` switches. The latency of one image follows its lines through the
layers: a layer's first window waits for `kernel` lines, and while a row of windows is worked on, the lines of
the next row come in. Buffers between the layers are taken as large enough. Summing the layers, FINN's own
estimate, supposes that each waits for the whole of the one before.

Assumptions: the input brings one SIMD word of the first layer a cycle; a layer with a 1 x 1 kernel has no
window unit and works on its first rows of weights while its input comes; a pooling unit takes a cycle for
each pixel of a line that it hands on.

Source: FINN-R (Blott et al., TRETS 2018), its cost model; latency checked against boards at 100 MHz:
154,502 of 158,100 measured cycles for cnvW1A1, 451,286 of 486,600 for cnvW2A2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accel_models.finn.layer import IntArray, Mvtu
from accel_models.finn.network import FinnNetwork
from xbarsim.errors import check_int, check_positive
from xbarsim.hints import checked


@dataclass(frozen=True, kw_only=True)
class LayerCycles:
    """Cycles an image of a layer's units, which work at the same time; no window unit where `window` is 0."""

    name: str
    pe: int
    simd: int
    matrix: int
    window: int
    threshold: int

    @property
    def slowest(self) -> int:
        """Cycles of the slowest unit."""
        return max(self.matrix, self.window, self.threshold)


@dataclass(frozen=True, kw_only=True)
class DesignCycles:
    """Cycles of a whole network.

    Attributes
    ----------
    interval_cycles : between two images, the slowest layer
    latency_cycles : from an image's first input word to its last output, by lines
    sum_cycles : the layers added up, FINN's own estimate of the latency; too long by about 40 % for CNV
    """

    layers: tuple[LayerCycles, ...]
    interval_cycles: int
    latency_cycles: int
    sum_cycles: int

    def images_per_s(self, clock_MHz: float) -> float:
        """Images a second at a clock."""
        return 1e6 * check_positive("clock_MHz", clock_MHz) / self.interval_cycles

    def latency_us(self, clock_MHz: float) -> float:
        """Latency of one image at a clock."""
        return self.latency_cycles / check_positive("clock_MHz", clock_MHz)


@checked
def design_cycles(network: FinnNetwork, *, first_layer_interval: int = 1) -> DesignCycles:
    """Cycles of a network as it is folded.

    Parameters
    ----------
    first_layer_interval : cycles that a fold of the first layer takes; `BoardPreset.first_layer_interval`
        is 2 for the LFC boards
    """
    check_int("first_layer_interval", first_layer_interval, 1, 1000)
    steps = [first_layer_interval] + [1] * (len(network.layers) - 1)
    layers = tuple(layer_cycles(m, interval=i) for m, i in zip(network.layers, steps, strict=True))
    return DesignCycles(
        layers=layers,
        interval_cycles=max(layer.slowest for layer in layers),
        latency_cycles=_latency_cycles(network.layers, first_layer_interval),
        sum_cycles=sum(layer.slowest for layer in layers),
    )


def layer_cycles(layer: Mvtu, *, interval: int = 1) -> LayerCycles:
    """Cycles of one layer's units.

    matrix : windows * MW / SIMD * MH / PE * interval
    window : k_h - 1 lines and k_w pixels, then k_h k_w C / SIMD a window, no faster than the lines come in
    threshold : windows * MH / PE; 0 without thresholds
    """
    down, across = layer.positions
    folds = down * across * layer.row_folds
    return LayerCycles(
        name=layer.name,
        pe=layer.pe,
        simd=layer.simd,
        matrix=folds * layer.column_folds * interval,
        window=_window_cycles(layer),
        threshold=0 if layer.thresholds is None else folds,
    )


def _window_cycles(layer: Mvtu) -> int:
    (kh, kw), (down, across), width = layer.kernel, layer.positions, layer.shape[1]
    if (kh, kw) == (1, 1):
        return 0
    line = width * _pixel_words(layer)
    fill = (kh - 1) * line + kw * _pixel_words(layer)
    return fill + down * max(across * layer.column_folds, layer.stride[0] * line)


def _pixel_words(layer: Mvtu) -> int:
    """SIMD words of an input pixel."""
    return -(-layer.shape[2] // layer.simd)


@dataclass(frozen=True)
class _Lines:
    """(height,) the cycles at which each line begins and ends to arrive."""

    begins: IntArray
    ends: IntArray


def _latency_cycles(layers: tuple[Mvtu, ...], first_layer_interval: int) -> int:
    (height, width, _), words = layers[0].shape, _pixel_words(layers[0])
    begins = np.arange(height, dtype=np.int64) * width * words
    lines = _Lines(begins, begins + width * words)
    for place, layer in enumerate(layers):
        lines = _through(layer, lines, 1 if place else first_layer_interval)
    return int(lines.ends[-1])


def _through(layer: Mvtu, lines: _Lines, interval: int) -> _Lines:
    """The layer's output lines from its input lines."""
    if layer.kernel == (1, 1):
        made = _without_window(layer, lines, interval)
    else:
        made = _with_window(layer, lines, interval)
    if layer.pool == 1:
        return made
    last, width = slice(layer.pool - 1, None, layer.pool), layer.output_shape[1]
    return _Lines(made.begins[last], made.ends[last] + width)


def _with_window(layer: Mvtu, lines: _Lines, interval: int) -> _Lines:
    """A row starts when its last input line is in, and cannot end before the lines of the next row are.

    Each word read moves the window on by one step, so that what is left after the reading is a row's cycles
    less those of the words read.
    """
    down, stride, step = layer.positions[0], layer.stride[0], layer.row_folds * interval
    reading = stride * layer.shape[1] * _pixel_words(layer)
    row = max(layer.positions[1] * layer.column_folds * step, reading)
    left = max(0, row - reading * step)
    arrived = _arrivals(layer, lines)
    begins, ends = np.empty(down, np.int64), np.empty(down, np.int64)
    free = 0
    for y in range(down):
        last = y * stride + layer.kernel[0] - 1
        start = max(free, arrived[last])
        free = start + row
        if y + 1 < down:
            free = max(free, arrived[last + stride] + left)
        begins[y], ends[y] = start + layer.column_folds * interval, free
    return _Lines(begins, ends)


def _arrivals(layer: Mvtu, lines: _Lines) -> list[int]:
    """When the window unit has each line: not before it came, nor faster than a word a cycle."""
    arrived, line = [0], layer.shape[1] * _pixel_words(layer)
    for end in lines.ends:
        arrived.append(max(int(end), arrived[-1] + line))
    return arrived[1:]


def _without_window(layer: Mvtu, lines: _Lines, interval: int) -> _Lines:
    """A row starts with its input; after the last word one step of the first rows is left, and the others."""
    (down, across), stride = layer.positions, layer.stride[0]
    pixel = layer.row_folds * layer.column_folds * interval
    left = pixel - (layer.column_folds - 1) * interval
    begins, ends = np.empty(down, np.int64), np.empty(down, np.int64)
    free = 0
    for y in range(down):
        start = max(free, int(lines.begins[y * stride]))
        free = max(start + across * pixel, int(lines.ends[y * stride]) + left)
        begins[y], ends[y] = start + layer.column_folds * interval, free
    return _Lines(begins, ends)
