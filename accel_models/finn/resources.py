"""LUTs and BRAM of a FINN accelerator, estimated by FINN-R's formulas, and the published designs beside them.

Estimated: the matrix units with their accumulators and thresholds, and the memories of their weights.
Not modelled: window and pooling units, FIFOs, width converters, DMA and the processor's interface, DSP blocks
(the estimate multiplies in LUTs), and what synthesis saves. The published designs lie from 43 % below the
estimate (LFC, whose XNORs cost less than multipliers) to twice above it: compare foldings with it, and leave
room when filling a device.

Source: FINN-R (Blott et al., TRETS 2018), its cost model; published designs: BNN-PYNQ on the Pynq-Z1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accel_models.finn.layer import Mvtu
from accel_models.finn.network import FinnNetwork
from xbarsim.errors import check_choice, check_int
from xbarsim.hints import checked

WeightMemory = Literal["BRAM", "LUTRAM"]
WEIGHT_MEMORIES = ("BRAM", "LUTRAM")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """LUTs and BRAMs of 18 Kbit."""

    luts: int
    bram18: int

    def __add__(self, other: Resources) -> Resources:
        return Resources(luts=self.luts + other.luts, bram18=self.bram18 + other.bram18)


@dataclass(frozen=True, kw_only=True)
class PublishedDesign:
    """A whole shipped design on the Pynq-Z1; a BRAM36 is two BRAM18, and the device has 140."""

    luts: int
    bram36: float
    dsp: int


PYNQ_Z1 = {
    "cnvW1A1": PublishedDesign(luts=26072, bram36=124, dsp=24),
    "cnvW1A2": PublishedDesign(luts=40321, bram36=131.5, dsp=26),
    "cnvW2A2": PublishedDesign(luts=37302, bram36=140, dsp=32),
    "lfcW1A1": PublishedDesign(luts=28360, bram36=110, dsp=4),
    "lfcW1A2": PublishedDesign(luts=48981, bram36=110, dsp=4),
}


@checked
def design_resources(network: FinnNetwork, *, weights_in: WeightMemory = "BRAM") -> Resources:
    """Estimate of all layers together."""
    parts = (layer_resources(layer, weights_in=weights_in) for layer in network.layers)
    return sum(parts, start=Resources(luts=0, bram18=0))


def layer_resources(layer: Mvtu, *, weights_in: WeightMemory = "BRAM") -> Resources:
    """Estimate of one layer: 300 LUT and its PEs, with the weights in BRAM or in LUTs.

    LUT = 300 + 1.1 PE (mult + tree + acc + thr + cmp) + c2, where c2 = PE SIMD W ceil(WMEM / 64) for weights
    in LUTRAM.
    """
    check_choice("weights_in", weights_in, WEIGHT_MEMORIES)
    blocks = _bram18(layer.simd * layer.weight_bits * layer.pe, _weight_words(layer))
    return Resources(
        luts=300 + _pe_luts(layer, layer.pe, weights_in),
        bram18=blocks if weights_in == "BRAM" else 0,
    )


def pe_cost(layer: Mvtu, *, weights_in: WeightMemory = "BRAM") -> float:
    """LUT of one PE: 1.1 (mult + tree + acc + thr + cmp), and its weights if they are in LUTRAM.

    With W, A and B bits of weights, input and output, and TMEM rows a PE:
    mult = SIMD (2 ceil((W + A) / 6) - 1) (W + A), tree = (W + A) (2 SIMD - 1), acc = accumulator bits,
    thr = (2**B - 1) acc ceil(TMEM / 64), cmp = (2**B - 1) acc; no thr and cmp without thresholds. FINN-R
    counts three thresholds for two bits, of which ternary activations use two.
    """
    check_choice("weights_in", weights_in, WEIGHT_MEMORIES)
    return 1.1 * _pe_logic(layer) + (_pe_weights(layer) if weights_in == "LUTRAM" else 0)


def replication_cost(
    layer: Mvtu, channels: int, *, copies: int = 3, weights_in: WeightMemory = "BRAM"
) -> Resources:
    """What it costs to compute `channels` of a layer's rows `copies` times, at the same cycles an image.

    Parameters
    ----------
    channels : rows to protect, 0..MH
    copies : 3 for a majority vote, 2 to detect a difference

    The added rows take PEs of their own, each of which serves MH / PE rows. A voter (out = c2 if c1 == c2
    else c0), one for as many channels, takes a LUT for codes of one bit, else a comparison and a multiplexer.
    """
    check_int(f"layer {layer.name}: replicated channels", channels, 0, layer.rows)
    check_int("copies", copies, 2, 9)
    check_choice("weights_in", weights_in, WEIGHT_MEMORIES)
    added = _parts((copies - 1) * channels, layer.row_folds)
    width, words = layer.simd * layer.weight_bits, _weight_words(layer)
    grown = _bram18(width * (layer.pe + added), words) - _bram18(width * layer.pe, words)
    voters = _parts(channels, layer.row_folds) * _voter_luts(layer)
    return Resources(
        luts=_pe_luts(layer, added, weights_in) + voters,
        bram18=grown if weights_in == "BRAM" else 0,
    )


def _pe_luts(layer: Mvtu, count: int, weights_in: WeightMemory) -> int:
    """So many PEs; a part of a LUT counts as one."""
    weights = count * _pe_weights(layer) if weights_in == "LUTRAM" else 0
    return _parts(11 * count * _pe_logic(layer), 10) + weights


def _pe_logic(layer: Mvtu) -> int:
    """mult + tree + acc + thr + cmp."""
    bits, lanes, acc = layer.weight_bits + layer.input.bits, layer.simd, layer.accumulator_bits
    levels = 0 if layer.output is None else (1 << layer.output.bits) - 1
    mult = lanes * (2 * _parts(bits, 6) - 1) * bits
    tree = bits * (2 * lanes - 1)
    return mult + tree + acc + levels * acc * (_parts(layer.row_folds, 64) + 1)


def _pe_weights(layer: Mvtu) -> int:
    """LUTs of a PE's weights: SIMD W ceil(WMEM / 64)."""
    return layer.simd * layer.weight_bits * _parts(_weight_words(layer), 64)


def _voter_luts(layer: Mvtu) -> int:
    bits = layer.accumulator_bits if layer.output is None else layer.output.bits
    return 1 if bits == 1 else _parts(2 * bits, 6) + bits


def _weight_words(layer: Mvtu) -> int:
    """WMEM: words of weights a PE."""
    return layer.row_folds * layer.column_folds


def _bram18(width: int, depth: int) -> int:
    """Blocks of a memory `depth` words deep and `width` bits wide, in the shape that FINN-R assumes."""
    if width <= 2:
        return _parts(depth, 16384 // width)
    if width <= 4:
        return _parts(depth, 4096) * _parts(width, 4)
    if width <= 9:
        return _parts(depth, 2048) * _parts(width, 9)
    if width <= 18 or depth > 512:
        return _parts(depth, 1024) * _parts(width, 18)
    return _parts(depth, 512) * _parts(width, 36)


def _parts(whole: int, part: int) -> int:
    return -(-whole // part)
