"""What a network on a FINN accelerator offers to faults: units, memories and values of every layer."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from accel_models.finn.layer import BIPOLAR, Mvtu, weight_range
from accel_models.finn.network import FinnNetwork
from xbarsim.faults.pe import FinnGeometry, UnitGeometry


class SharedArray(NamedTuple):
    """The PEs of a loopback accelerator: row n of every layer is computed by PE n mod PE."""

    pe: int
    simd: int



def finn_geometry(network: FinnNetwork, shared: SharedArray | None = None) -> FinnGeometry:
    """Return the places of faults of a dataflow accelerator, or of one whose layers share an array."""
    last = len(network.layers) - 1
    layers = tuple(
        _unit(layer, *((layer.pe, layer.simd) if shared is None else shared), last=place == last)
        for place, layer in enumerate(network.layers)
    )
    return FinnGeometry(layers, None if shared is None else _shared_unit(layers, shared))


def _shared_unit(layers: tuple[UnitGeometry, ...], shared: SharedArray) -> UnitGeometry:
    """What the array offers to faults that hit all layers: values that every layer has."""
    every = set.intersection(*(set(g.values) for g in layers if g.values))
    return replace(
        layers[0],
        rows=max(g.rows for g in layers),
        columns=max(g.columns for g in layers),
        pe=shared.pe,
        simd=shared.simd,
        values=tuple(sorted(every)),
        products=tuple(sorted(set.intersection(*(set(g.products) for g in layers)))),
        accumulator_bits=min(g.accumulator_bits for g in layers),
        pixels=0,
    )


def _unit(layer: Mvtu, pe: int, simd: int, *, last: bool) -> UnitGeometry:
    height, width, _ = layer.output_shape
    weights, inputs = weight_range(layer.weight_bits), layer.input.values
    ends = sorted(int(w) * int(a) for w in weights for a in (inputs[0], inputs[-1]))
    signs = layer.weight_bits == 1 and layer.input == BIPOLAR
    return UnitGeometry(
        rows=layer.rows,
        columns=layer.columns,
        pe=pe,
        simd=simd,
        weight_bits=layer.weight_bits,
        threshold_bits=layer.threshold_bits,
        accumulator_bits=layer.accumulator_bits,
        thresholds=0 if layer.output is None else layer.output.top,
        values=() if layer.output is None else tuple(layer.output.values.tolist()),
        products=(-1, 1) if signs else tuple(sorted({ends[0], 0, ends[-1]})),
        pixels=0 if last else height * width,
    )
