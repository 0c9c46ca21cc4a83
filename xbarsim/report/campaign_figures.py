"""The figures of a campaign: each is drawn if the store has what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from xbarsim.campaigns.store import TaskStatus
from xbarsim.faults.drawing import fault_map_figure
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.pe import PeFaultKind
from xbarsim.faults.sampling import mix_presets, sample_trial
from xbarsim.metrics.pareto import pareto_front
from xbarsim.metrics.roc import roc_curve
from xbarsim.report import plots
from xbarsim.report.campaign_results import Results, distinctions, entry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUBJECT = ("network", "weights", "data", "hardware")
FINN_FACTS = {"healthy_hits", "shots", "population"}
RATE, SAME = "faults.rate", {"weights", "data", "hardware", "faults.model"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A figure with its name, for files, and a sentence or two about what it shows."""

    name: str
    title: str
    words: str
    draw: Callable[[], Figure]


def figures(results: Results) -> list[Shown]:
    """All figures that a store has the trials for."""
    kinds = (_curves, _layers, _detection, _latencies, _fronts, _chips)
    found = [shown for kind in kinds for shown in kind(results)]
    seen: dict[str, int] = {}
    for place, shown in enumerate(found):  # two checkpoints of one network
        seen[shown.name] = seen.get(shown.name, 0) + 1
        if seen[shown.name] > 1:
            found[place] = replace(shown, name=f"{shown.name}-{seen[shown.name]}")
    return found


def _groups(tasks: list[TaskStatus], *names: str) -> Iterator[list[TaskStatus]]:
    """Tasks that agree in these entries, in the order in which they came."""

    def key(task: TaskStatus) -> str:
        return repr([entry(task, name) for name in names])

    order = {k: place for place, k in enumerate(dict.fromkeys(map(key, tasks)))}
    for _, group in groupby(sorted(tasks, key=lambda task: order[key(task)]), key):
        yield list(group)


def _lines(tasks: list[TaskStatus]) -> dict[str, list[TaskStatus]]:
    """Tasks that differ in nothing but the rate, under what tells them from the others."""
    lines: dict[str, list[TaskStatus]] = {}
    shown = {"network", "accelerator", "method", RATE, *SAME}
    for task, more in zip(tasks, distinctions(tasks, shown), strict=True):
        name = f"{entry(task, 'accelerator')}, {entry(task, 'method')}" + (f", {more}" if more else "")
        lines.setdefault(name, []).append(task)
    return lines


def _rate(task: TaskStatus) -> float | None:
    """The rate of a task's faults, if it is one above 0."""
    rate = entry(task, "faults_rate")
    return rate if isinstance(rate, (int, float)) and rate > 0 else None


def _scored(results: Results, task: TaskStatus) -> bool:
    """Whether a task has the counts of adversarial patterns."""
    trials = results.trials_of(task)
    columns = [f"counts.{patterns}_moved" for patterns in ("adversarial", "original")]
    known = isinstance(entry(task, "test"), Mapping)
    return known and set(columns) <= set(trials) and not trials[columns].isna().any(axis=None)


def _slug(*words: object) -> str:
    return "-".join(str(word) for word in words).lower().replace(" ", "-").replace("/", "-")


def _curves(results: Results) -> Iterator[Shown]:
    tasks = results.of(metric="accuracy", faults_model="cells")
    for group in _groups([task for task in tasks if _rate(task)], "network", "weights", "data"):
        network = entry(group[0], "network")
        curves = {}
        for name, line in _lines(group).items():
            line.sort(key=lambda task: entry(task, "faults_rate"))
            found = [task.moments.estimate() for task in line]
            curves[name] = (
                np.array([100 * entry(task, "faults_rate") for task in line]),
                np.array([100 * e.value for e in found]),
                np.array([100 * e.low for e in found]),
                np.array([100 * e.high for e in found]),
            )
        chips = min(task.done for task in group)
        yield Shown(
            name=_slug("accuracy", network),
            title=f"Accuracy of {network} over the rate of faulty cells",
            words=f"Mean over at least {chips} chips a point; bands are 95 % intervals of the mean. 'none' "
            "is the faulty chip as it is.",
            draw=partial(plots.accuracy_curves, curves, xlabel="faulty cells [%]", title=network),
        )


def _layers(results: Results) -> Iterator[Shown]:
    for task in results.of(metric="accuracy", faults_model="single"):
        trials = results.trials_of(task)
        if not {"counts.kind", "counts.layer"} <= set(trials) or not set(task.facts) >= FINN_FACTS:
            continue  # a workload of somebody's own, which calls its faults so
        network = entry(task, "network")
        groups = {}
        for kind in trials["counts.kind"].unique().tolist():
            rows = trials[trials["counts.kind"] == kind]
            accuracy = (100 * rows["hits"] / rows["shots"]).to_numpy(float)
            groups[PeFaultKind(kind).name] = (rows["counts.layer"].to_numpy(np.int64), accuracy)
        healthy = 100 * task.facts["healthy_hits"] / task.facts["shots"]
        yield Shown(
            name=_slug("layers", network, *groups),
            title=f"{network} under single faults, by layer",
            words=f"{task.done:,} of {task.facts['population']:,} single faults, each on "
            f"{task.facts['shots']:,} images; a dot is a fault, rings are least and largest of a layer.",
            draw=partial(plots.fault_accuracies, groups, error_free=healthy, title=network),
        )


def _detection(results: Results) -> Iterator[Shown]:
    for group in _groups(results.of(metric="detection"), *SUBJECT, "images", "test", "faults_mix"):
        group = [task for task in group if _scored(results, task)]
        healthy = [task for task in group if entry(task, "faults_rate") == 0]
        faulty = [task for task in group if _rate(task)]
        if not healthy or not faulty:
            continue
        curves = {}
        for task, more in zip(faulty, distinctions(faulty, {RATE}), strict=True):
            for patterns in ("adversarial", "original"):
                column = f"counts.{patterns}_moved"
                scores = (results.trials_of(t)[column].to_numpy(float) for t in (healthy[0], task))
                name = f"{100 * entry(task, 'faults_rate'):g} %, {patterns}"
                curves[name + (f", {more}" if more else "")] = roc_curve(*scores)
        words = f"{entry(group[0], 'network')} on {entry(group[0], 'accelerator')}"
        number = entry(group[0], "test").get("patterns")
        yield Shown(
            name=_slug("detection", entry(group[0], "network"), entry(group[0], "accelerator")),
            title=f"Detection of faulty chips: {words}",
            words=f"Score: the largest change of a top confidence over {number} patterns. "
            f"{healthy[0].done} healthy draws of patterns, and the faulty chips of each rate.",
            draw=partial(plots.roc_curves, curves, title=words),
        )


def _latencies(results: Results) -> Iterator[Shown]:
    tasks = [task for task in results.tasks if "march_latency_ns" in task.facts]
    for group in _groups(tasks, *SUBJECT):
        tests = {"inference": {"one image": group[0].facts["latency_ns"]}}
        patterns = {
            f"{entry(task, 'test').get('patterns')} patterns": task.facts["patterns_latency_ns"]
            for task in group
            if "patterns_latency_ns" in task.facts and isinstance(entry(task, "test"), Mapping)
        }
        if patterns:
            tests["patterns"] = patterns
        tests["March C-"] = group[0].facts["march_latency_ns"]
        words = f"{entry(group[0], 'network')} on {entry(group[0], 'accelerator')}"
        yield Shown(
            name=_slug("latency", entry(group[0], "network"), entry(group[0], "accelerator")),
            title=f"Latency of tests: {words}",
            words="Pipelined inference beside March C- by addressing mode, contents restored.",
            draw=partial(plots.latency_bars, tests, title=words),
        )


def _fronts(results: Results) -> Iterator[Shown]:
    tasks = results.of(metric="accuracy", faults_model="cells")
    tasks = [task for task in tasks if "arrays" in task.facts and _rate(task)]
    for group in _groups(tasks, "network", "weights", "data"):
        rate = max(entry(task, "faults_rate") for task in group)
        worst = [task for task in group if entry(task, "faults_rate") == rate]
        if len({task.facts["arrays"] for task in worst}) < 2:
            continue  # one cost is no front
        points = {
            name: (float(line[0].facts["arrays"]), 100 * (1 - line[0].moments.mean))
            for name, line in _lines(worst).items()
        }
        costs, errors = (np.array(column) for column in zip(*points.values(), strict=True))
        front = [list(points)[place] for place in pareto_front(costs, errors)]
        network = entry(group[0], "network")
        yield Shown(
            name=_slug("front", network),
            title=f"Error against arrays: {network} at {100 * rate:g} % faulty cells",
            words=f"Mean error over chips. No other choice is better in both numbers than: "
            f"{'; '.join(front)}.",
            draw=partial(
                plots.trade_offs, points, front=front, xlabel="arrays", ylabel="mean error [%]", title=network
            ),
        )


def _chips(results: Results) -> Iterator[Shown]:
    tasks = [t for t in results.of(faults_model="cells") if "geometry" in t.facts and _rate(t)]
    tasks = [task for task in tasks if entry(task, "faults_mix") in mix_presets()]
    for group in _groups(tasks, *SUBJECT, "faults_mix"):
        task = max(group, key=lambda task: entry(task, "faults_rate"))
        rate, mix = entry(task, "faults_rate"), entry(task, "faults_mix")
        geometry = CellGeometry(**task.facts["geometry"])
        fault_map = sample_trial(geometry, rate, mix=mix_presets()[mix], seed=task.seed, trial=0)
        words = f"{entry(task, 'network')} on {entry(task, 'accelerator')}"
        yield Shown(
            name=_slug("chip", entry(task, "network"), entry(task, "accelerator"), mix),
            title=f"Faulty cells of the first chip: {words}",
            words=f"Trial 0 at {100 * rate:g} %, mix '{mix}': {len(fault_map):,} faulty cells; the four "
            "arrays with most of them, and faulty cells of every array.",
            draw=partial(fault_map_figure, fault_map, title=words, panels=4),
        )
