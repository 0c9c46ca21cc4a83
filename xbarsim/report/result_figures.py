"""The figures of a campaign: each is drawn if the store has what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarsim.campaigns.store import TaskStatus
from xbarsim.errors import InputError
from xbarsim.faults.drawing import fault_map_figure
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.pe import PeFaultKind
from xbarsim.faults.trials import faults_of
from xbarsim.metrics.pareto import pareto_front
from xbarsim.metrics.roc import roc_curve
from xbarsim.registry import fault_models
from xbarsim.report import plots
from xbarsim.report.answers import latencies_of_tests
from xbarsim.report.columns import entries, is_fault_free, numeric, part_of, told_apart, value_of
from xbarsim.report.curves import drawn, lines_over
from xbarsim.report.results import Results
from xbarsim.rng import Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NETWORK = ("network", "weights", "data")
SUBJECT = (*NETWORK, "accelerator", "hardware")
HEALTHY = ("healthy_hits", "shots")


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A figure with its name, for files, and a sentence or two about what it shows.

    Attributes
    ----------
    of : one of the tasks in it
    heading : what stands above the drawing
    drawing : draws it under the heading that it is given as `title`
    """

    name: str
    title: str
    words: str
    of: TaskStatus
    heading: str
    drawing: Callable[..., Figure]

    def draw(self) -> Figure:
        """Return the drawing."""
        return self.drawing(title=self.heading)


def figures(results: Results) -> list[Shown]:
    """All figures that a store has the trials for."""
    kinds = (_curves, _layers, _detection, _latencies, _fronts, _chips)
    found = [shown for kind in kinds for shown in kind(results)]
    alike: dict[str, list[int]] = {}
    for place, shown in enumerate(found):
        alike.setdefault(shown.name, []).append(place)
    for places in alike.values():
        apart = _apart([found[place].of for place in places])
        for count, (place, words) in enumerate(zip(places, apart, strict=True)):
            shown, number = found[place], f"-{count + 1}" if count else ""
            title, heading = (f"{text}, {words}" if words else text for text in (shown.title, shown.heading))
            found[place] = replace(shown, name=f"{shown.name}{number}", title=title, heading=heading)
    return found


def _apart(tasks: Sequence[TaskStatus]) -> list[str]:
    """What tells subjects of one name apart: checkpoints of one network, two hardwares of one name."""
    own = [entries(task) for task in tasks]
    names = [name for name in SUBJECT if len({repr(one.get(name)) for one in own}) > 1]
    return [", ".join(f"{name} {one.get(name)}" for name in names) for one in own]


def _groups(tasks: Sequence[TaskStatus], *names: str) -> Iterator[list[TaskStatus]]:
    """Tasks that agree in these entries, in the order in which they came."""
    groups: dict[str, list[TaskStatus]] = {}
    for task in tasks:
        own = entries(task)
        groups.setdefault(repr([own.get(name) for name in names]), []).append(task)
    yield from groups.values()


def _of_metric(results: Results, metric: str) -> list[TaskStatus]:
    return [task for task in results.tasks if task.description.get("metric") == metric]


def _slug(*words: object) -> str:
    kept = "".join(c if c.isalnum() or c in "._" else "-" for c in "-".join(map(str, words)).lower())
    return "-".join(filter(None, kept.split("-")))


def _on(task: TaskStatus) -> str:
    return f"{part_of(task, 'network')} on {entries(task).get('accelerator', '')}"


def _curves(results: Results) -> Iterator[Shown]:
    """Accuracy over the column of numbers that has most values."""
    for group in _groups(_of_metric(results, "accuracy"), *NETWORK):
        for x in sorted(numeric(group), key=lambda name: not name.startswith("faults.")):
            chosen = [task for task in group if _positive(task, x)]
            lines = lines_over(chosen, x)
            if not lines or max(map(len, lines.values())) < 2:
                continue
            network = part_of(group[0], "network")
            chips = min(task.done for task in chosen)
            yield Shown(
                name=_slug("accuracy", network),
                title=f"Accuracy of {network} over {x}",
                words=f"Mean over at least {chips} chips a point; bands are 95 % intervals of the mean.",
                of=group[0],
                heading=network,
                drawing=partial(drawn, lines, x, ylabel="accuracy, mean over chips"),
            )
            break


def _positive(task: TaskStatus, x: str) -> bool:
    value = entries(task).get(x)
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _layers(results: Results) -> Iterator[Shown]:
    for task in _of_metric(results, "accuracy"):
        trials = results.trials_of(task)
        columns = ["counts.kind", "counts.layer", "counts.unit"]
        if (
            not set(columns) <= set(trials)
            or trials[columns].isna().any(axis=None)
            or not _has(task, *HEALTHY)
        ):
            continue
        network = part_of(task, "network")
        groups = {}
        for kind in trials["counts.kind"].unique().tolist():
            rows = trials[trials["counts.kind"] == kind]
            accuracy = (100 * rows["hits"] / rows["shots"]).to_numpy(float)
            groups[PeFaultKind(kind).name] = (rows["counts.layer"].to_numpy(np.int64), accuracy)
        healthy = 100 * task.facts["healthy_hits"] / task.facts["shots"]
        yield Shown(
            name=_slug("layers", network, *groups),
            title=f"{network} under single faults, by layer",
            words=f"{task.done:,} single faults, each on {task.facts['shots']:,} images; a dot is a fault; "
            "rings are least and largest of a layer.",
            of=task,
            heading=network,
            drawing=partial(plots.fault_accuracies, groups, error_free=healthy),
        )


def _has(task: TaskStatus, *names: str) -> bool:
    return all(isinstance(task.facts.get(name), (int, float)) for name in names)


def _numbers(task: TaskStatus, name: str) -> dict[str, float]:
    """The finite numbers of a fact that is several by name."""
    found = task.facts.get(name)
    named = found.items() if isinstance(found, Mapping) else ()
    return {key: v for key, v in named if type(v) in (int, float) and isfinite(v)}


def _detection(results: Results) -> Iterator[Shown]:
    """Shares of faulty and healthy chips above every score, a curve a detector and fault model."""
    for group in _groups(_of_metric(results, "detection"), *SUBJECT, "images"):
        scored = [task for task in group if _scores(results, task) is not None]
        healthy = {repr(_detector(task)): task for task in scored if is_fault_free(task)}
        faulty = [task for task in scored if not is_fault_free(task) and repr(_detector(task)) in healthy]
        if not faulty:
            continue
        curves = {}
        shown = ("measure", "faults")
        for task, more in zip(faulty, told_apart(faulty, shown), strict=True):
            name = ", ".join(filter(None, [*(str(value_of(task, column)) for column in shown), more]))
            alarms, found = (_scores(results, t) for t in (healthy[repr(_detector(task))], task))
            curves[name] = roc_curve(alarms, found)  # type: ignore[arg-type]
        draws = min(task.done for task in healthy.values())
        yield Shown(
            name=_slug("detection", part_of(group[0], "network"), entries(group[0]).get("accelerator", "")),
            title=f"Detection of faulty chips: {_on(group[0])}",
            words="Share of faulty chips whose score is above a threshold, over that of "
            f"{draws} fault-free ones.",
            of=group[0],
            heading=_on(group[0]),
            drawing=partial(plots.roc_curves, curves),
        )


def _detector(task: TaskStatus) -> Any:
    return task.description.get("detector")


def _scores(results: Results, task: TaskStatus) -> np.ndarray | None:
    trials = results.trials_of(task)
    if "counts.score" not in trials or trials["counts.score"].isna().any():
        return None
    return trials["counts.score"].to_numpy(float)


def _latencies(results: Results) -> Iterator[Shown]:
    tasks = [t for t in results.tasks if _numbers(t, "march_latency_ns") and _has(t, "latency_ns")]
    for group in _groups(tasks, *SUBJECT):
        tests = {"inference": {"one image": group[0].facts["latency_ns"]}}
        if timed := latencies_of_tests(group):
            tests["detectors"] = timed
        tests["March C-"] = _numbers(group[0], "march_latency_ns")
        yield Shown(
            name=_slug("latency", part_of(group[0], "network"), entries(group[0]).get("accelerator", "")),
            title=f"Latency of tests: {_on(group[0])}",
            words="Pipelined inference beside March C- by addressing mode, contents restored.",
            of=group[0],
            heading=_on(group[0]),
            drawing=partial(plots.latency_bars, tests),
        )


def _fronts(results: Results) -> Iterator[Shown]:
    """Error against what chips take of the hardware, where subjects differ in it, under the worst faults."""
    for group in _groups(_of_metric(results, "accuracy"), *NETWORK):
        rates = [value for task in group if isinstance(value := entries(task).get("faults.rate"), float)]
        worst = [task for task in group if rates and entries(task).get("faults.rate") == max(rates)]
        cost = _cost_that_differs(worst)
        if cost is None or max(rates) == 0:
            continue
        shown = ("accelerator", "repair")
        names = [
            ", ".join(filter(None, [*(str(entries(t).get(c) or part_of(t, c)) for c in shown), more]))
            for t, more in zip(worst, told_apart(worst, shown), strict=True)
        ]
        points = {
            name: (float(task.facts["resources"][cost]), 100 * (1 - task.moments.mean))
            for name, task in zip(names, worst, strict=True)
        }
        costs, errors = (np.array(column) for column in zip(*points.values(), strict=True))
        front = [list(points)[place] for place in pareto_front(costs, errors)]
        network = part_of(group[0], "network")
        yield Shown(
            name=_slug("front", network),
            title=f"Error against {cost}: {network} at {100 * max(rates):g} % faults",
            words="Mean error over chips. No other choice is better in both numbers than: "
            f"{'; '.join(front)}.",
            of=group[0],
            heading=network,
            drawing=partial(plots.trade_offs, points, front=front, xlabel=cost, ylabel="mean error [%]"),
        )


def _cost_that_differs(tasks: Sequence[TaskStatus]) -> str | None:
    resources = [_numbers(task, "resources") for task in tasks]
    if not resources:
        return None
    names = set.intersection(*map(set, resources))
    return next((n for n in resources[0] if n in names and len({one[n] for one in resources}) > 1), None)


def _chips(results: Results) -> Iterator[Shown]:
    """The faulty cells of the first chip under the most faults of each model."""
    tasks = [task for task in results.tasks if isinstance(task.facts.get("geometry"), Mapping)]
    for group in _groups(tasks, *SUBJECT, "faults.name", "faults.mix"):
        task = max(group, key=lambda t: entries(t).get("faults.rate") or 0.0)
        fault_map = _first_map(task)
        if fault_map is None or not len(fault_map):
            continue
        yield Shown(
            name=_slug(
                "chip",
                part_of(task, "network"),
                entries(task).get("accelerator", ""),
                part_of(task, "faults"),
            ),
            title=f"Faulty cells of the first chip: {_on(task)}",
            words=f"Trial 0 with {part_of(task, 'faults')}: {len(fault_map):,} faulty cells; the four arrays "
            "with most of them, and faulty cells of every array.",
            of=task,
            heading=_on(task),
            drawing=partial(fault_map_figure, fault_map, panels=4),
        )


def _first_map(task: TaskStatus) -> Any:
    """The first chip's faults drawn again; None for models that are not known here."""
    faults = task.description.get("faults")
    if not isinstance(faults, Mapping):
        return None
    fields = {name: value for name, value in faults.items() if name != "name"}
    try:
        model = fault_models.make(str(faults.get("name")), fields, strict=False)
        return faults_of(model, CellGeometry(**task.facts["geometry"]), Trial(task.seed, 0))
    except (InputError, TypeError):
        return None
