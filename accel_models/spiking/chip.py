"""A spiking network as a chip: its weights on an exact grid, its faults, and what it answers.

Weights are rounded to a grid so fine that nothing of float32 weights within 2**-17 of the largest is lost
(for a layer of 784 inputs), and so coarse that every sum of them is exact in float64. So an answer depends on
weights, faults, image and seed alone: not on the order of sums, on threads, or on which chips run beside it.

Random numbers belong to a seed, an image and a pixel: all chips meet the same spikes of an image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from math import ceil, frexp, log2, nan

import numpy as np
from numpy.typing import NDArray

from accel_models.spiking.network import SpikingNetwork, check_weights
from xbarsim.arrays import as_array, check_inputs
from xbarsim.chip import Accelerator, Cost, Run
from xbarsim.errors import InputError, check_int, check_type
from xbarsim.faults.neuron_effects import SpikingEffects, effects_of
from xbarsim.faults.neurons import ALWAYS, NeuronFaults, SpikingGeometry
from xbarsim.faults.table import several
from xbarsim.hints import checked
from xbarsim.kernels.lif_chips import ChipArrays, run_chips
from xbarsim.rng import stream

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]
CHIPS_AT_ONCE = 256
IMAGES_AT_ONCE = 1000
COUNTS_AT_ONCE = 2**24  # of all chips that `run_each` runs together


def on_grid(weights: FloatArray, *, most: float = 1.0) -> FloatArray:
    """(n, m) weights on a grid where sums of 2 n weights of up to `most`, or of their own size, are exact.

    >>> weight = np.array([[0.1]], np.float32)
    >>> float((on_grid(weight.astype(float)) - weight)[0, 0])
    0.0
    """
    return _rounded(weights, len(weights), max(float(np.abs(weights).max(initial=0)), most))


def _rounded(weights: FloatArray, sources: int, most: float) -> FloatArray:
    step = 2.0 ** (frexp(most)[1] + ceil(log2(2 * sources)) - 52)
    return np.rint(weights / step) * step


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingChip:
    """A network with faults; immutable, `inject` and `with_acting` give others.

    Parameters
    ----------
    accelerator : what it was programmed with
    geometry : layers, steps, leak, threshold
    weights : (n, m) of every layer; `program` puts them on the grid
    gain, offset : (m,) of every layer's neurons without faults
    faults : of neurons and synapses
    acting : (n, m) of every layer, if they differ from `weights`: of faulty cells
    arrays : of ReRAM cells that hold its weights; 0 if none do
    """

    accelerator: Accelerator
    geometry: SpikingGeometry
    weights: tuple[FloatArray, ...]
    gain: tuple[FloatArray, ...]
    offset: tuple[FloatArray, ...]
    faults: NeuronFaults = field(default_factory=lambda: NeuronFaults.of([]))
    acting: tuple[FloatArray, ...] | None = None
    arrays: int = 0

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(inputs,); a run takes any shape with as many numbers."""
        return self.geometry.sizes[:1]

    @property
    def resources(self) -> dict[str, float]:
        """Neurons without the inputs, synapses, and arrays if cells hold the weights."""
        synapses = sum(n * m for n, m in pairwise(self.geometry.sizes))
        found: dict[str, float] = {"neurons": sum(self.geometry.sizes[1:]), "synapses": synapses}
        return {**found, "arrays": self.arrays} if self.arrays else found

    def inject(self, faults: NeuronFaults) -> SpikingChip:
        """The same network with these faults of neurons and synapses on top of its own.

        Raises
        ------
        InputError : a fault at a place that is not there.
        """
        check_type("faults", faults, NeuronFaults, "draw them with FaultUniverse")
        faults.check(self.geometry)
        return replace(self, faults=self.faults.merge(faults))

    def with_acting(self, acting: Sequence[FloatArray] | None) -> SpikingChip:
        """The same network on cells that act as these weights."""
        if acting is None:
            return replace(self, acting=None)
        check_weights(self.geometry, acting)
        pairs = zip(acting, self.weights, strict=True)
        return replace(
            self, acting=tuple(on_grid(a, most=max(1.0, float(np.abs(w).max()))) for a, w in pairs)
        )

    @property
    def effects(self) -> SpikingEffects:
        """What its faults do."""
        return effects_of(self.geometry, self.faults, gain=self.gain, offset=self.offset)

    @checked
    def run(self, inputs: NDArray, *, seed: int = 0, first_image: int = 0) -> Run:
        """Run (N, ...) numbers in [0, 1]; scores are the spikes of each output. See `run_many`.

        Raises
        ------
        InputError : inputs of another size, none at all, or not in [0, 1].
        """
        pixels = _checked(inputs, self.geometry)
        return self._run_of(run_many(self, [self], pixels, seed=seed, first_image=first_image)[0])

    def run_each(self, faults: Iterable[NeuronFaults], inputs: NDArray, *, seed: int = 0) -> Iterator[Run]:
        """Run the same inputs on a copy with each of these faults on top of its own, one by one.

        What `inject` and `run` give, sooner: see `run_many`. `faults` may be a generator: so many copies are
        in memory as CHIPS_AT_ONCE and COUNTS_AT_ONCE allow.

        Raises
        ------
        InputError : inputs of another size, none at all, or not in [0, 1]; later a fault that has no place.
        """
        pixels, remaining = _checked(inputs, self.geometry), iter(several(faults))
        room = COUNTS_AT_ONCE // (len(pixels) * self.geometry.sizes[-1])
        together = min(CHIPS_AT_ONCE, max(1, room))

        def runs() -> Iterator[Run]:
            while some := [self.inject(one) for one in islice(remaining, together)]:
                yield from map(self._run_of, run_many(self, some, pixels, seed=seed))

        return runs()

    @checked
    def cost(self, inputs: int) -> Cost:
        """Unknown, NaN: neither time nor energy of neurons is modelled."""
        check_int("inputs", inputs, 1, 10**9)
        return Cost(latency_ns=nan, energy_pJ=nan)

    def _run_of(self, counts: IntArray) -> Run:
        return Run(scores=counts, classes=classes_of(counts), cost=self.cost(len(counts)))


def program(network: SpikingNetwork, accelerator: Accelerator) -> SpikingChip:
    """Return a fault-free chip with a network's weights, on the grid."""
    return SpikingChip(
        accelerator=accelerator,
        geometry=network.geometry,
        weights=tuple(on_grid(as_array("weights", w).astype(float)) for w in network.weights),
        gain=network.gains,
        offset=network.offsets,
    )


def run_many(
    base: SpikingChip,
    chips: Sequence[SpikingChip],
    images: NDArray,
    *,
    seed: int = 0,
    first_image: int = 0,
) -> IntArray:
    """What many faulty copies of one network answer, sharing all that no fault has changed.

    Parameters
    ----------
    base : the network that the chips are copies of
    images : (n, ...) in [0, 1]
    seed : of the spikes, which are the same for all chips
    first_image : number of the first image, so that parts of a data set meet the spikes of the whole

    Returns
    -------
    (chips, n, classes) int32 spike counts

    Raises
    ------
    InputError : chips of another network, images of another size or not in [0, 1].
    """
    if not len(images) or not chips:
        return np.zeros((len(chips), len(images), base.geometry.sizes[-1]), np.int32)
    pixels = _checked(images, base.geometry)
    check_int("first_image", first_image, 0, 2**62)
    for chip in chips:
        same = ((chip.weights, base.weights), (chip.gain, base.gain), (chip.offset, base.offset))
        if chip.geometry != base.geometry or any(a is not b for a, b in same):
            raise InputError("chips", "copies of one network, by inject and with_acting", str(chip.geometry))
    healthy = effects_of(base.geometry, gain=base.gain, offset=base.offset)
    neurons, windows = healthy.flat
    weights = np.concatenate([w.ravel() for w in base.weights])
    key = int(stream(seed, "spikes").integers(2**63))
    found = np.empty((len(chips), len(pixels), base.geometry.sizes[-1]), np.int32)
    names = np.arange(first_image, first_image + len(pixels))
    for some in range(0, len(chips), CHIPS_AT_ONCE):
        arrays = _arrays(chips[some : some + CHIPS_AT_ONCE])
        for at in range(0, len(pixels), IMAGES_AT_ONCE):
            part = slice(at, at + IMAGES_AT_ONCE)
            found[some : some + CHIPS_AT_ONCE, part] = run_chips(
                pixels[part], names[part], np.array(base.geometry.sizes), weights, neurons, windows,
                healthy.inputs, healthy.input_windows, key, base.geometry.steps, arrays,
            )  # fmt: skip
    return found


def classes_of(counts: NDArray) -> NDArray[np.int64]:
    """(..., classes) counts to (...,) classes: the most spikes, of equal ones the first."""
    return counts.argmax(axis=-1)


def _arrays(chips: Sequence[SpikingChip]) -> ChipArrays:
    inputs, lines, input_windows, input_ends = [], [], [], [0]
    changed, neurons, windows = [], [], []
    synapses: list[tuple[NDArray, ...]] = []
    ends = [0]
    for chip in chips:
        effects = chip.effects
        at = np.flatnonzero(effects.input_windows[1] > 0)
        inputs.append(at)
        lines.append(effects.inputs[:, :, at].transpose(2, 0, 1))
        input_windows.append(effects.input_windows[:, at].T)
        input_ends.append(input_ends[-1] + len(at))
        changed.append([(w[1] > 0).any() for w in effects.windows])
        flat = effects.flat
        neurons.append(flat[0])
        windows.append(flat[1])
        for layer in range(len(chip.weights)):
            synapses.append(_synapses(chip, effects, layer))
            ends.append(ends[-1] + len(synapses[-1][0]))
    sources, targets, deltas, always, when = (
        np.concatenate(column) for column in zip(*synapses, strict=True)
    )
    return ChipArrays(
        np.array(input_ends), np.concatenate(inputs), np.concatenate(lines), np.concatenate(input_windows),
        np.array(changed), np.array(neurons), np.array(windows), np.array(ends), sources, targets, deltas,
        always, when,
    )  # fmt: skip


def _synapses(chip: SpikingChip, effects: SpikingEffects, layer: int) -> tuple[NDArray, ...]:
    """Source, target, delta, always, window of the changed synapses of a layer; a fault beats its cells."""
    weights, changes = chip.weights[layer], effects.synapses[layer]
    at, to = changes.source, changes.target
    stuck = np.where(changes.always, 0.0, changes.weight)
    most = max(1.0, float(np.abs(weights).max()))
    if np.abs(stuck).max(initial=0) > most:
        expected = f"at most {most:g}, the largest weight of layer {layer}, or 1"
        raise InputError("value of swf", expected, f"{np.abs(stuck).max():g}")
    stuck = _rounded(stuck, len(weights), most)
    found = [at, to, stuck - weights[at, to], changes.always, np.stack([changes.first, changes.last], axis=1)]
    if chip.acting is None:
        return tuple(found)
    deltas = chip.acting[layer] - weights
    if changes.always.any() or not changes.permanent.all():
        raise InputError(
            "faults", "stuck weights or faults of neurons on faulty cells", "sasf, or a window",
            "put them on healthy cells",
        )  # fmt: skip
    deltas[at, to] = 0
    source, target = deltas.nonzero()
    always = np.zeros(len(source), bool)
    window = np.tile([0, ALWAYS], (len(source), 1))
    cells = (source, target, deltas[source, target], always, window)
    return tuple(np.concatenate([a, b]) for a, b in zip(found, cells, strict=True))


def _checked(images: NDArray, geometry: SpikingGeometry) -> FloatArray:
    """(n, inputs) float64 of images of any shape with so many pixels."""
    inputs = geometry.sizes[0]
    found = as_array("inputs", images)
    if found.ndim > 2 and np.prod(found.shape[1:]) == inputs:
        found = found.reshape(len(found), inputs)
    pixels = check_inputs(found, (inputs,))
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise InputError("inputs", "numbers in [0, 1]", f"{pixels.min():g}..{pixels.max():g}", "scale them")
    return np.ascontiguousarray(pixels, np.float64)
