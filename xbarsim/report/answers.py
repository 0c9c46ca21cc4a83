"""The answers that commands print: accuracy, detection, what a repair took; one row a task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xbarsim.campaigns.store import TaskStatus
from xbarsim.faults.pe import NAMES, NONE, SHARED_LAYER, PeFault, PeFaultKind
from xbarsim.limits import byte_size
from xbarsim.metrics.intervals import Estimate, wilson
from xbarsim.report import plots
from xbarsim.report.columns import is_fault_free, part_of, told_apart, value_of
from xbarsim.report.pairs import PLAIN
from xbarsim.report.results import Results
from xbarsim.report.tables import Table, duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INTERVALS = "Intervals: 95 %, Wilson's for images, Student's t for means over chips."
CONDITION, FOUND = ("faults", "repair"), ("measure", "faults")
NAMED = {"measure": "detector", "faults": "faults"}
WORST = 10


def naming(tasks: Sequence[TaskStatus], columns: Sequence[str]) -> list[str]:
    """Return the columns that name tasks: those in which they differ, or else the first."""
    return [c for c in columns if len({value_of(task, c) for task in tasks}) > 1] or [columns[0]]


def names_of(tasks: Sequence[TaskStatus], columns: Sequence[str]) -> list[str]:
    """Return a name for every task: the columns that name it, and what else tells it apart."""
    named, apart = naming(tasks, columns), told_apart(tasks, columns)
    return [
        ", ".join(filter(None, [*(str(value_of(task, column) or "") for column in named), more]))
        for task, more in zip(tasks, apart, strict=True)
    ]


def headline(tasks: Sequence[TaskStatus], columns: Sequence[str]) -> str:
    """Return what all tasks are about, for titles: network, accelerator, and columns that name no task."""
    common = [column for column in columns if column not in naming(tasks, columns)]
    more = [str(value_of(tasks[0], column) or "") for column in common]
    about = f"{part_of(tasks[0], 'network')} on {part_of(tasks[0], 'accelerator')}"
    return ", ".join([about, *(words for words in more if words not in ("", PLAIN))])


def accuracy_table(results: Results) -> Table:
    """The float network, the fault-free chip, and the chips of every task."""
    tasks = [task for task in results.tasks if task.description.get("metric") == "accuracy"]
    facts, shots = tasks[0].facts, int(tasks[0].facts["shots"])
    rows = []
    if "float_hits" in facts:
        rows.append(("float network", *shown(wilson(facts["float_hits"], shots)), "", ""))
    digital = ", digital" if facts.get("varied") else ""
    rows.append((f"fault-free chip{digital}", *shown(wilson(facts["healthy_hits"], shots)), "", ""))
    for name, task in zip(names_of(tasks, CONDITION), tasks, strict=True):
        trials = results.trials_of(task)
        worst = float((trials["hits"] / trials["shots"]).min())
        rows.append((name, *shown(task.moments.estimate()), f"{worst:.2%}", str(task.done)))
    agreeing = facts.get("agreeing")
    agrees = (
        f"The fault-free chip predicts what the integer graph predicts on {agreeing} of {shots} images. "
        if agreeing is not None
        else ""
    )
    return Table(
        title=f"Accuracy on {shots} test images: {headline(tasks, CONDITION)}",
        columns=("", "accuracy", "95 % interval", "worst chip", "chips"),
        rows=tuple(rows),
        note=f"{agrees}{INTERVALS}",
    )


def healthy_table(network: str, facts: Mapping[str, Any]) -> Table:
    """Accuracy without faults: of the float network, if there is one, and of the chip."""
    shots = int(facts["shots"])
    named = (("float network", "float_hits"), ("fault-free chip", "healthy_hits"))
    rows = [(name, *shown(wilson(facts[key], shots))) for name, key in named if key in facts]
    return Table(
        title=f"{network} on {shots} test images",
        columns=("", "accuracy", "95 % interval"),
        rows=tuple(rows),
        note="Intervals: Wilson's.",
    )


def shown(estimate: Estimate) -> tuple[str, str]:
    """Return a share and its interval in %; one chip has none."""
    if math.isnan(estimate.low):
        return f"{estimate.value:.2%}", "one chip"
    return f"{estimate.value:.2%}", f"{max(0.0, estimate.low):.2%} .. {min(1.0, estimate.high):.2%}"


def accuracy_figure(results: Results) -> Figure:
    """A dot for every chip, a column a task."""
    tasks = [task for task in results.tasks if task.description.get("metric") == "accuracy"]
    groups = {}
    for name, task in zip(names_of(tasks, CONDITION), tasks, strict=True):
        trials = results.trials_of(task)
        groups[name.replace(", ", ",\n")] = (trials["hits"] / trials["shots"]).tolist()
    facts = tasks[0].facts
    title = f"Accuracy of chips on {facts['shots']} images: {headline(tasks, CONDITION)}"
    return plots.chip_accuracies(groups, healthy=facts["healthy_hits"] / facts["shots"], title=title)


def detection_table(results: Results) -> Table:
    """Chips called faulty by every detector, its false alarms on fault-free chips, and what a test takes."""
    tasks = [task for task in results.tasks if task.description.get("metric") == "detection"]
    alarms = {repr(t.description["detector"]): t for t in tasks if is_fault_free(t)}
    faulty = [task for task in tasks if not is_fault_free(task)]
    shown_tasks = faulty or tasks
    rows, named = [], " and ".join(NAMED[column] for column in naming(shown_tasks, FOUND))
    for name, task in zip(names_of(faulty, FOUND), faulty, strict=True):
        free = alarms.get(repr(task.description["detector"]))
        rows.append(
            (
                name,
                *shown(task.moments.estimate()),
                str(task.done),
                "-" if free is None else f"{round(free.moments.mean * free.done)} of {free.done}",
                duration(task.facts["test_latency_ns"]) if "test_latency_ns" in task.facts else "unknown",
            )
        )
    return Table(
        title=f"Detection of faulty chips: {headline(shown_tasks, FOUND)}",
        columns=(named, "detected", "95 % interval", "chips", "false alarms", "latency"),
        rows=tuple(rows),
        note="False alarms: other draws of patterns on fault-free chips. Latency: of one test; patterns are "
        "pipelined inferences. Intervals: Wilson's.",
    )


def detection_figure(results: Results) -> Figure:
    """Detection rates as bars, a group a detector."""
    tasks = [t for t in results.tasks if t.description.get("metric") == "detection" and not is_fault_free(t)]
    groups: dict[str, dict[str, Estimate]] = {}
    for task, more in zip(tasks, told_apart(tasks, ("measure", "faults")), strict=True):
        name = part_of(task, "measure").replace(", ", ",\n")
        faults = ", ".join(filter(None, [part_of(task, "faults"), more]))
        groups.setdefault(name, {})[faults] = task.moments.estimate()
    title = f"Detection of faulty chips: {headline(tasks, FOUND)}"
    return plots.rate_bars(groups, ylabel="chips detected [%]", title=title)


def latencies_of_tests(tasks: Sequence[TaskStatus]) -> dict[str, float]:
    """Return what a test takes in ns, by detector; tasks without one are left out."""
    timed = [task for task in tasks if isinstance(task.facts.get("test_latency_ns"), (int, float))]
    first = list({repr(task.description.get("detector")): task for task in reversed(timed)}.values())[::-1]
    names = names_of(first, ("measure",))
    return {name: task.facts["test_latency_ns"] for name, task in zip(names, first, strict=True)}


def latency_table(results: Results) -> Table:
    """Latency of every detector beside March C- in all its addressing modes."""
    tasks = [task for task in results.tasks if "test_latency_ns" in task.facts]
    timed = latencies_of_tests(tasks)
    march = tasks[0].facts["march_latency_ns"]
    slowest = max(timed.values())
    rows = [(name, duration(ns), "") for name, ns in timed.items()]
    by_speed = sorted(march.items(), key=lambda item: item[1])
    rows += [(f"March C-, {mode}", duration(ns), f"{ns / slowest:.3g}") for mode, ns in by_speed]
    wins = [mode for mode, ns in march.items() if ns < slowest]
    verdict = (
        f"March is faster than the slowest detector: {', '.join(wins)}."
        if wins
        else "March is never faster here."
    )
    return Table(
        title="Latency of a test",
        columns=("test", "latency", "over the slowest detector"),
        rows=tuple(rows),
        note=f"{verdict} March restores the contents; patterns are pipelined inferences.",
    )


def repair_table(results: Results) -> Table:
    """What every repair took, means over chips."""
    tasks = [t for t in results.tasks if t.description.get("metric") == "accuracy"]
    rows = []
    for name, task in zip(names_of(tasks, ("repair", "faults")), tasks, strict=True):
        counts = results.trials_of(task).filter(like="counts.").dropna(axis=1, how="all").mean()
        found = {str(key).removeprefix("counts."): float(value) for key, value in counts.items()}
        if not {"cell_writes", "update_bytes", "stuck_cells"} & set(found):
            continue
        sent, whole = found.get("update_bytes"), found.get("network_bytes")
        rows.append(
            (
                name,
                _amount(found.get("stuck_cells")),
                _amount(found.get("cell_writes")),
                "-" if sent is None else byte_size(sent),
                "-" if sent is None or whole is None else f"{whole / sent:.3g}",
            )
        )
    return Table(
        title="What the repairs took, mean over chips",
        columns=("repair", "cells known stuck", "cells written", "sent", "times smaller"),
        rows=tuple(rows),
        note="Times smaller: than the whole network, all weights at full width and all biases.",
    )


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def single_fault_table(results: Results, task: TaskStatus) -> Table:
    """What single faults of each kind did in each layer."""
    trials, facts = results.trials_of(task), task.facts
    rows = []
    for place, own in trials.groupby(["counts.kind", "counts.layer"]):
        kind, layer = _pair(place)
        accuracy, flips = own["hits"] / own["shots"], own["counts.flips"] / own["shots"]
        rows.append(
            (
                PeFaultKind(kind).name,
                "all" if layer == SHARED_LAYER else str(layer),
                f"{len(own):,}",
                *(f"{value:.2%}" for value in (accuracy.min(), accuracy.mean(), accuracy.max())),
                *(f"{value:.2%}" for value in (flips.mean(), flips.max())),
            )
        )
    healthy = facts["healthy_hits"] / facts["shots"]
    return Table(
        title=f"{len(trials):,} single faults on {facts['shots']:,} images; fault-free {healthy:.2%}",
        columns=("kind", "layer", "faults", "worst", "mean", "best", "mean flips", "most flips"),
        rows=tuple(rows),
        note="Accuracy under one fault at a time; flips: predictions that change.",
    )


def _pair(place: Any) -> tuple[int, int]:
    """Two integers by which rows are grouped."""
    return int(place[0]), int(place[1])


def worst_fault_table(results: Results, task: TaskStatus) -> Table:
    """The single faults that cost most accuracy."""
    trials = results.trials_of(task)
    fields = trials.reindex(columns=[f"counts.{name}" for name in NAMES]).fillna(NONE).to_numpy(int)

    def fault(place: int) -> PeFault:
        kind, *rest = fields[place].tolist()
        return PeFault(kind=PeFaultKind(kind), **dict(zip(NAMES[1:], rest, strict=True)))

    hits, flips = (trials[column].to_numpy(int) for column in ("hits", "counts.flips"))
    return worst_faults(fault, hits, flips, task.facts["shots"], title="The worst faults")


def worst_faults(
    fault: Callable[[int], object],
    hits: NDArray[np.integer],
    flips: NDArray[np.integer],
    shots: int,
    *,
    title: str,
    count: int = WORST,
) -> Table:
    """The faults with fewest hits, of equal ones those with most flips.

    Parameters
    ----------
    fault : gives the fault at a place, to be shown
    hits, flips : (faults,), of `shots` images each
    """
    rows = [
        (str(fault(int(i))), f"{hits[i] / shots:.2%}", f"{flips[i] / shots:.2%}")
        for i in worst_first(hits, flips)[:count]
    ]
    return Table(title=title, columns=("fault", "accuracy", "flips"), rows=tuple(rows))


def worst_first(hits: NDArray[np.integer], flips: NDArray[np.integer]) -> NDArray[np.int64]:
    """(faults,) places from the worst fault to the mildest: fewest hits, then most flips."""
    return np.lexsort((-flips, hits))


def single_fault_figure(results: Results, task: TaskStatus, title: str) -> Figure:
    """Every fault's accuracy, by layer, kind and value; see `fault_accuracies`."""
    trials = results.trials_of(task)
    groups = {}
    for place, own in trials.groupby(["counts.kind", "counts.value"]):
        kind, value = _pair(place)
        accuracy = 100 * own["hits"].to_numpy(float) / own["shots"].to_numpy(float)
        groups[f"{PeFaultKind(kind).name} at {value}"] = own["counts.layer"].to_numpy(int), accuracy
    healthy = 100 * task.facts["healthy_hits"] / task.facts["shots"]
    return plots.fault_accuracies(groups, error_free=healthy, title=title)
