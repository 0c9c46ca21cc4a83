"""Where accuracy goes: a chip against its network in floats, node by node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from accel_models.reram.analog import AnalogChip
from accel_models.reram.chip import ReramChip
from xbarsim.errors import InputError, check_int
from xbarsim.graph.integer_graph import IntegerGraph, Multiply
from xbarsim.graph.nodes import MatMul, Node
from xbarsim.graph.product import Products
from xbarsim.hints import checked
from xbarsim.report.tables import Table
from xbarsim.subject import Subject
from xbarsim.torch_bridge.observe import run_captured
from xbarsim.torch_bridge.quantize import Imported, imported, settings_of
from xbarsim.torch_bridge.threads import torch_threads

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

AT_ONCE = 32
COLUMNS = (
    "node",
    "kind",
    "bits",
    "snr_dB",
    "saturated",
    "adc_changed",
    "faulty_weights",
    "moved_if_exact",
    "moved_alone",
    "origin",
)
LOUD_dB = 200.0


@dataclass(frozen=True, eq=False)
class Explanation:
    """A chip against its network in floats.

    Attributes
    ----------
    frame : a row a node, with the columns
        node, kind: where it is computed: on arrays, in integers, by a table, or in floats;
        bits: of its integers, 0 for sums and floats;
        snr_dB: signal to noise against the float network on the same inputs;
        saturated: share of its values that saturate;
        adc_changed: share of an array's sums that its ADC, or analog noise, changes;
        faulty_weights: share of its weights that cells act as others;
        moved_if_exact: share of inputs whose top class changes when this layer alone is made exact;
        moved_alone: share of inputs whose top class changes when this layer alone is on the chip;
        origin: layer and line of the network. NaN where a node has none of it
    inputs : how many the chip and the network were run on
    agreement : share of them on which chip and float network have the same top class
    name : of subject and chip
    """

    frame: pd.DataFrame
    inputs: int
    agreement: float
    name: str

    def table(self) -> Table:
        """Return the table for people."""
        rows = []
        for row in self.frame.to_dict("records"):
            shares = (_number(row[column], "{:.2%}") for column in COLUMNS[4:9])
            bits = str(row["bits"]) if row["bits"] else "-"
            rows.append((row["node"], row["kind"], bits, _number(row["snr_dB"], "{:.1f}"), *shares))
        kinds = self.frame.kind.value_counts()
        counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        return Table(
            title=f"{self.name}: {self.agreement:.1%} of {self.inputs} inputs have the float network's class",
            columns=("node", "kind", "bits", "SNR [dB]", "saturated", "ADC", "faulty", "if exact", "alone"),
            rows=tuple(rows),
            note=f"Nodes: {counted}. ADC: sums that the converter or noise changes. If exact, alone: inputs"
            " whose top class changes when this layer alone is exact, or alone is on the chip.",
        )

    def plot(self) -> Figure:
        """Return signal to noise along the network, in the colours of where nodes are computed."""
        from xbarsim.report.plots import noise_along

        shown = self.frame[np.isfinite(self.frame.snr_dB)]
        return noise_along(
            list(shown.node),
            list(shown.kind),
            shown.snr_dB.to_numpy(),
            title=f"{self.name}, {self.inputs} inputs",
        )


@checked
def explain(
    subject: Subject,
    chip: Any = None,
    *,
    inputs: int = 100,
    seed: int = 0,
    on_step: Callable[[int, int], None] | None = None,
) -> Explanation:
    """Compare a chip with its float network, node by node.

    Parameters
    ----------
    subject : a torch module on crossbars, with test data
    chip : one of the subject's, faulty, repaired, or of analog cells; by default the healthy one
    inputs : of the test data
    seed : of an analog chip's read noise
    on_step : called with steps done and in all

    Raises
    ------
    InputError : a network that is no torch module, a chip of another kind or of another network.
    """
    check_int("inputs", inputs, 1, 10**6)
    found: Any = subject.chip if chip is None else chip
    if not isinstance(found, (ReramChip, AnalogChip)):
        remedy = "choose a ReRAM or analog accelerator"
        raise InputError("chip", "a chip of crossbars", type(found).__name__, remedy)
    own = imported(subject.module, subject.calibration, **settings_of(subject.accelerator.quantization))
    graph = found.graph
    if [node.name for node in graph.nodes] != [node.name for node in own.graph.nodes]:
        raise InputError("chip", f"one with the network {subject.name!r} in it", "another", "program it")
    images = subject.test.images[:inputs]
    steps = 1 + 2 * len(graph.layers)
    tell = on_step or (lambda done, total: None)
    meter = _Meter(own, graph, found, seed)
    meter.run(images)
    tell(1, steps)
    moved = _moved(graph, lambda: _multiply(found, seed), images, lambda done: tell(done + 1, steps))
    return Explanation(
        frame=_frame(meter, moved),
        inputs=len(images),
        agreement=float(np.mean(np.concatenate(meter.same))),
        name=f"{subject.name} on {subject.accelerator.name}",
    )


def _multiply(chip: Any, seed: int) -> Multiply:
    return chip.multiplier(seed) if isinstance(chip, AnalogChip) else chip.multiply


class _Meter:
    """Sums of signal, noise and saturated values, node by node."""

    def __init__(self, own: Imported, graph: IntegerGraph, chip: Any, seed: int) -> None:
        self.own, self.graph = own, graph
        self.healthy = chip.chip if isinstance(chip, AnalogChip) else chip
        self.multiply = _multiply(chip, seed)
        self.energies: dict[str, list[float]] = {}
        self.counts: dict[str, list[int]] = {}
        self.changed: dict[str, list[int]] = {}
        self.same: list[NDArray] = []

    def run(self, images: NDArray) -> None:
        at_once = self.graph.batch_of(AT_ONCE)
        with torch_threads(1):
            for start in range(0, len(images), at_once):
                self._batch(images[start : start + at_once])

    def _batch(self, images: NDArray) -> None:
        names: dict[Any, list[str]] = {}
        for name, node in self.own.stands_for.items():
            names.setdefault(node, []).append(name)
        floats: dict[str, NDArray] = {}
        output = next(iter(self.own.captured.outputs.values()))
        given: list[NDArray] = []

        def keep(node: Any, value: torch.Tensor) -> None:
            if node is output:
                given.append(value.numpy())
            if value.is_floating_point():
                for name in names.get(node, ()):
                    floats[name] = value.numpy()

        dtype = (
            torch.float64 if next(iter(self.own.captured.constants.values())).dtype == torch.float64 else None
        )
        tensor = torch.from_numpy(np.asarray(images))
        run_captured(self.own.captured, [tensor.to(dtype or torch.float32)], keep)

        def note(node: Node, value: NDArray, sources: Sequence[NDArray]) -> None:
            self._note(node, value, sources, floats.get(node.name))

        x = self.graph.quantize_input(images)
        values = self.graph.execute(x, self._watched, note)
        scores = self.graph.to_scores(values[self.graph.output])
        self.same.append(_top(scores) == _top(given[0]))

    def _note(self, node: Node, value: NDArray, sources: Sequence[NDArray], wanted: NDArray | None) -> None:
        if hasattr(node, "saturated"):
            counts = self.counts.setdefault(node.name, [0, 0])
            counts[0] += node.saturated(*sources)
            counts[1] += value.size
        if wanted is None or wanted.shape != value.shape:
            return
        numbers = self.graph.to_scores(value, node.name)
        energies = self.energies.setdefault(node.name, [0.0, 0.0])
        known = np.isfinite(wanted)  # masks add minus infinity
        energies[0] += float(np.square(wanted[known], dtype=np.float64).sum())
        energies[1] += float(np.square(numbers[known] - wanted[known]).sum())

    def _watched(self, layer: MatMul, x: NDArray) -> NDArray:
        found = self.multiply(layer, x)
        exact = self._acting(layer, x)
        changed = self.changed.setdefault(layer.name, [0, 0])
        changed[0] += int(np.count_nonzero(found != exact))
        changed[1] += found.size
        return found

    @cached_property
    def _acting(self) -> Products:
        """The products of the weights that the cells act as, without a converter."""
        return Products(lambda layer: self.healthy.effective_weights(layer.matrix))

    def faulty(self, layer: MatMul) -> float:
        """Share of a layer's weights that cells act as others."""
        acting = self.healthy.effective_weights(layer.matrix)
        return float(np.mean(acting != layer.weights))


def _moved(
    graph: IntegerGraph, multiply: Callable[[], Multiply], images: NDArray, tell: Callable[[int], None]
) -> dict[str, tuple[float, float]]:
    """For every layer, the shares of inputs whose class changes if it is exact, or alone on the chip."""

    def classes(chosen: Callable[[MatMul], bool]) -> NDArray:
        own = multiply()

        def mixed(layer: MatMul, x: NDArray) -> NDArray:
            found = own(layer, x)  # always, since noise counts the inputs
            return found if chosen(layer) else graph.multiply(layer, x)

        return _top(graph.run(images, multiply=mixed, watched=False))

    on_chip, exact = classes(lambda layer: True), classes(lambda layer: False)
    moved = {}
    for place, layer in enumerate(graph.layers):
        name = layer.name
        without = classes(partial(_is_other, name))
        tell(2 * place + 1)
        alone = classes(partial(_is_same, name))
        tell(2 * place + 2)
        moved[name] = float(np.mean(without != on_chip)), float(np.mean(alone != exact))
    return moved


def _is_same(name: str, layer: MatMul) -> bool:
    return layer.matrix == name


def _is_other(name: str, layer: MatMul) -> bool:
    return layer.matrix != name


def _top(scores: NDArray) -> NDArray:
    return scores.reshape(len(scores), -1).argmax(axis=1)


def _frame(meter: _Meter, moved: dict[str, tuple[float, float]]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for node in meter.graph.nodes:
        signal, noise = meter.energies.get(node.name, (np.nan, np.nan))
        outside, size = meter.counts.get(node.name, (np.nan, 1))
        changed, sums = meter.changed.get(node.name, (np.nan, 1))
        layer = isinstance(node, MatMul)
        if_exact, alone = moved.get(node.name, (np.nan, np.nan))
        rows.append(
            (
                node.name,
                node.kind,
                getattr(node, "bits", 0),
                _decibels(signal, noise),
                outside / size,
                changed / sums,
                meter.faulty(node) if layer else np.nan,  # type: ignore[arg-type]
                if_exact,
                alone,
                node.origin,
            )
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _decibels(signal: float, noise: float) -> float:
    """10 log10 of signal over noise: NaN where there is no signal, at most 200."""
    if not signal > 0:
        return float("nan")
    return min(LOUD_dB, 10 * np.log10(signal / noise)) if noise else LOUD_dB


def _number(value: float, form: str) -> str:
    return form.format(value) if np.isfinite(value) else "-"
