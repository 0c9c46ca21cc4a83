"""What faults of neurons and synapses do: gains, offsets, thresholds, leaks and weights; and which are alike.

Faults of one neuron in the same window add up: factors multiply, a leak is set, and a neuron that is stuck is
stuck whatever else it has (of `nasf`, `dead` and `stuck_output` the later in this list). A stuck neuron keeps
no potential, so that it spikes, or not, from the first step of a window on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError
from xbarsim.faults.neurons import (
    ALWAYS,
    ALWAYS_SPIKES,
    NeuronFaultKind,
    NeuronFaults,
    SpikingGeometry,
    of_synapses,
)
from xbarsim.kernels.lif import GAIN, LEAK, OFFSET, THRESHOLD

IN_ORDER = sorted(NeuronFaultKind, key=lambda kind: kind.stuck)
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SynapseChanges:
    """Changed synapses of one layer, by source.

    Attributes
    ----------
    source, target, first, last : (changes,)
    weight : (changes,), NaN where the weight stays
    always : (changes,), whether the weight is delivered at every step
    """

    source: IntArray
    target: IntArray
    weight: FloatArray
    always: NDArray[np.bool_]
    first: IntArray
    last: IntArray

    @property
    def permanent(self) -> NDArray[np.bool_]:
        """(changes,): those without a window."""
        return (self.first == 0) & (self.last == ALWAYS)


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingEffects:
    """A network's neurons and inputs with their faults.

    Attributes
    ----------
    inputs, input_windows : (2, 2, K) gain and offset of the spike probability, outside and inside the window;
        (2, K) first and last
    neurons, windows : of every layer (2, 4, m): gain, offset, threshold, leak; (2, m)
    synapses : of every layer
    """

    inputs: FloatArray
    input_windows: IntArray
    neurons: tuple[FloatArray, ...]
    windows: tuple[IntArray, ...]
    synapses: tuple[SynapseChanges, ...]

    @cached_property
    def flat(self) -> tuple[FloatArray, IntArray]:
        """Neurons and windows layer by layer in one array, as kernels take them."""
        return np.concatenate([n.ravel() for n in self.neurons]), np.concatenate(
            [w.ravel() for w in self.windows]
        )


def effects_of(
    geometry: SpikingGeometry,
    faults: NeuronFaults | None = None,
    *,
    gain: Sequence[NDArray] | None = None,
    offset: Sequence[NDArray] | None = None,
) -> SpikingEffects:
    """What faults make of a network.

    Parameters
    ----------
    gain, offset : (m,) of every layer's neurons without faults; 1 and 0 if not given

    Raises
    ------
    InputError : a fault at a place that is not there, faults of one neuron at different times, two faults of
        one synapse.
    """
    neurons = [np.empty((2, 4, m)) for m in geometry.sizes[1:]]
    for i, own in enumerate(neurons):
        own[:, GAIN] = 1.0 if gain is None else gain[i]
        own[:, OFFSET] = 0.0 if offset is None else offset[i]
        own[:, THRESHOLD], own[:, LEAK] = geometry.threshold, geometry.leak
    windows = [np.zeros((2, m), np.int64) for m in geometry.sizes]
    inputs = np.zeros((2, 2, geometry.sizes[0]))
    inputs[:, GAIN] = 1.0
    table = np.zeros(0, NeuronFaults.of([]).table.dtype) if faults is None else faults.table
    if faults is not None:
        faults.check(geometry)
    table = table.copy()  # a window that covers all steps is none
    table["last"][(table["first"] == 0) & (table["last"] >= geometry.steps)] = ALWAYS
    at_synapses = of_synapses(table["kind"])
    for layer, place in enumerate(windows):
        here = table[(table["layer"] == layer) & ~at_synapses]
        _note_windows(place, here)
        for kind in IN_ORDER:
            rows = here[here["kind"] == kind]
            if layer == 0:
                _change(inputs[1], rows, kind, 1.0)
            else:
                _change(neurons[layer - 1][1], rows, kind, ALWAYS_SPIKES * geometry.threshold)
    synapses = [
        _changes(table[(table["layer"] == layer) & at_synapses]) for layer in range(len(geometry.sizes) - 1)
    ]
    return SpikingEffects(
        inputs=inputs,
        input_windows=windows[0],
        neurons=tuple(neurons),
        windows=tuple(windows[1:]),
        synapses=tuple(synapses),
    )


def _note_windows(windows: IntArray, rows: NDArray[np.void]) -> None:
    at = rows["neuron"]
    windows[0, at], windows[1, at] = rows["first"], rows["last"]
    differ = (windows[0, at] != rows["first"]) | (windows[1, at] != rows["last"])
    if differ.any():
        bad = NeuronFaults(rows)[int(differ.argmax())]
        raise InputError("faults", "the same steps for all faults of a neuron", str(bad))


def _change(inside: FloatArray, rows: NDArray[np.void], kind: NeuronFaultKind, always: float) -> None:
    """Change (2, K) inputs, or (4, m) neurons; with an offset of `always` one always spikes."""
    if not len(rows):  # inputs have neither threshold nor leak
        return
    at, value = rows["neuron"], rows["value"]
    match kind:
        case NeuronFaultKind.hsf:
            np.divide.at(inside[GAIN], at, value)
        case NeuronFaultKind.esf:
            np.multiply.at(inside[GAIN], at, value)
        case NeuronFaultKind.threshold:
            np.multiply.at(inside[THRESHOLD], at, value)
        case NeuronFaultKind.leak:
            inside[LEAK, at] = value
        case kind if kind.stuck:
            inside[GAIN, at] = 0.0
            inside[OFFSET, at] = always * _spikes(kind, value)
            if len(inside) > LEAK:
                inside[LEAK, at], inside[THRESHOLD, at] = 0.0, always / ALWAYS_SPIKES


def _spikes(kind: NeuronFaultKind, value: FloatArray | float) -> FloatArray | float:
    """1 where a neuron spikes at every step, 0 where it never does."""
    if kind is NeuronFaultKind.stuck_output:
        return value
    return float(kind is NeuronFaultKind.nasf)


def _changes(rows: NDArray[np.void]) -> SynapseChanges:
    rows = rows[np.lexsort((rows["target"], rows["neuron"]))]
    twice = (np.diff(rows["neuron"]) == 0) & (np.diff(rows["target"]) == 0)
    if twice.any():
        raise InputError("faults", "one fault a synapse", str(NeuronFaults(rows)[int(twice.argmax())]))
    weight = np.where(rows["kind"] == NeuronFaultKind.swf, rows["value"], np.nan)
    return SynapseChanges(
        source=rows["neuron"].copy(),
        target=rows["target"].copy(),
        weight=weight,
        always=rows["kind"] == NeuronFaultKind.sasf,
        first=rows["first"].copy(),
        last=rows["last"].copy(),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class CollapsedFaults:
    """Classes of faults that no input can tell apart.

    Attributes
    ----------
    faults : one of each class, the first in the list
    group : (all faults,), the class of each; -1 for those that change nothing
    """

    faults: NeuronFaults
    group: IntArray


def collapse(
    faults: NeuronFaults, geometry: SpikingGeometry, weights: Sequence[NDArray] | None = None
) -> CollapsedFaults:
    """Find single faults that act alike, each alone on a chip.

    Alike are: a neuron that never spikes, for whatever reason; one that always does; a gain and the threshold
    that is divided by it, on neurons without an offset; any window that covers all steps. With `weights`,
    (n, m) of every layer, also synapses whose weight is what it is stuck at, and those of weight 0 that
    always spike.

    >>> geometry = SpikingGeometry(sizes=(4, 3, 2))
    >>> from xbarsim.faults.neurons import FaultUniverse
    >>> kinds = (NeuronFaultKind.hsf, NeuronFaultKind.threshold)
    >>> lists = [FaultUniverse(geometry=geometry).enumerate(k, value=10.0).table for k in kinds]
    >>> found = collapse(NeuronFaults(np.concatenate(lists)), geometry)
    >>> len(found.group), len(found.faults)
    (10, 7)
    """
    faults.check(geometry)
    keys: dict[tuple, int] = {}
    group, first = np.empty(len(faults), np.int64), []
    for i, row in enumerate(faults.table):
        key = _behaviour(row, geometry, weights)
        if key is None:
            group[i] = -1
            continue
        if key not in keys:
            keys[key] = len(keys)
            first.append(i)
        group[i] = keys[key]
    return CollapsedFaults(faults=faults.take(np.array(first, int)), group=group)


def _behaviour(row: np.void, geometry: SpikingGeometry, weights: Sequence[NDArray] | None) -> tuple | None:
    """A key that is the same for faults that act alike; None for one that does nothing."""
    kind, value = NeuronFaultKind(int(row["kind"])), float(row["value"])
    steps = int(row["first"]), min(int(row["last"]), geometry.steps)
    if steps[0] >= steps[1]:
        return None
    place = int(row["layer"]), int(row["neuron"]), int(row["target"]), *steps
    if kind.of_synapses:
        weight = None if weights is None else float(weights[place[0]][place[1], place[2]])
        same = weight == value if kind is NeuronFaultKind.swf else weight == 0
        return None if same else (*place, kind, value)
    if kind.stuck:
        return (*place, "spikes", float(_spikes(kind, value)))
    if kind is NeuronFaultKind.leak:
        return None if value == geometry.leak or steps == (0, 1) else (*place, "leak", value)
    # without an offset a neuron of gain g and threshold h spikes as one of gain g / h and threshold 1
    ratio = value if kind is NeuronFaultKind.esf else 1 / value
    whole = steps == (0, geometry.steps)
    scaled = whole or kind is not NeuronFaultKind.threshold
    return None if ratio == 1 else (*place, "gain" if scaled else "threshold", ratio)
