"""The tables of a campaign."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from xbarsim.campaigns.store import TaskStatus
from xbarsim.metrics.intervals import Estimate
from xbarsim.report.campaign_results import Results, distinctions, pairs
from xbarsim.report.tables import Table

COLUMNS = ("network", "accelerator", "faults", "method", "metric")


def described(description: Mapping[str, Any]) -> tuple[str, ...]:
    """What a task is, in the words of `COLUMNS`; entries that it does not have are empty.

    >>> described({"network": "lenet", "faults": {"rate": 0.01, "mix": "even"}})
    ('lenet', '', '1 % even', '', '')
    """
    faults = description.get("faults")
    words = ""
    if isinstance(faults, Mapping):
        named = faults.get("kinds", [])
        kinds = " ".join(map(str, named)) if isinstance(named, list) else str(named)
        kinds, rate = kinds or str(faults.get("mix", "")), faults.get("rate")
        known = isinstance(rate, (int, float))
        words = "single" if rate is None else f"{100 * rate:g} %" if known else str(rate)
        words = f"{words} {kinds}".strip()
    found = {name: str(description.get(name, "")) for name in COLUMNS} | {"faults": words}
    return tuple(found[name] for name in COLUMNS)


def told_apart(tasks: Sequence[TaskStatus]) -> list[str]:
    """What tells tasks apart beside the entries of `COLUMNS`."""
    shown = {"network", "accelerator", "method", "metric", "hardware", "weights", "data"}
    return distinctions(tasks, {*shown, "faults.model", "faults.rate", "faults.mix", "faults.kinds"})


def interval(found: Estimate) -> tuple[str, str, str]:
    """Value and ends in %; no ends of a single chip."""
    ends = [f"{100 * end:.2f}" if math.isfinite(end) else "" for end in (found.low, found.high)]
    return f"{100 * found.value:.2f}", ends[0], ends[1]


def task_table(results: Results) -> Table:
    """Every task with its estimate."""
    tasks = [*results.tasks, *results.empty]
    apart = told_apart(tasks)
    more_columns = ("with",) if any(apart) else ()
    rows = [
        (
            task.key[:8],
            *described(task.description),
            *([more] if more_columns else []),
            *(interval(task.moments.estimate()) if task.done else ("", "", "")),
            f"{task.done:,}",
            _of(task),
        )
        for task, more in zip(tasks, apart, strict=True)
    ]
    return Table(
        title="Tasks",
        columns=("task", *COLUMNS, *more_columns, "mean [%]", "from", "to", "trials", "planned"),
        rows=tuple(rows),
        note="Accuracies are means over chips (Student's t), detections are rates (Wilson); intervals at "
        "95 %. A click on a heading sorts.",
    )


def _of(task: TaskStatus) -> str:
    return f"{task.planned:,}" + (f", until {task.stop}" if task.stop else "")


def pair_table(results: Results) -> Table:
    """Methods against doing nothing, on the same chips."""
    rows = []
    for pair in pairs(results):
        network, accelerator, faults, method, _ = described(pair.task.description)
        gain = [f"{100 * value:+.2f}" for value in (pair.gain.value, pair.gain.low, pair.gain.high)]
        rows.append((network, accelerator, faults, method, *gain, f"{pair.chips:,}"))
    return Table(
        title="Methods on the same chips",
        columns=("network", "accelerator", "faults", "method", "gain [points]", "from", "to", "chips"),
        rows=tuple(rows),
        note="Accuracy with the method less accuracy without, chip by chip: what chips have in common "
        "cancels. Intervals at 95 % (Student's t).",
    )


def failure_table(results: Results) -> Table:
    """What went wrong, by error."""
    keys = {task.id: task.key[:8] for task in (*results.tasks, *results.empty)}
    rows = [(keys.get(task, str(task)), f"{trial}", error) for task, trial, error in results.failures[-200:]]
    return Table(
        title="Failed trials",
        columns=("task", "trial", "error"),
        rows=tuple(rows),
        note=f"{len(results.failures):,} attempts failed; the latest {len(rows)}. The next run tries again.",
    )


def run_table(results: Results) -> Table:
    """Who wrote the store."""
    rows = [
        (str(number), started, command or "from Python", _versions(versions))
        for number, started, command, versions in results.runs
    ]
    return Table(
        title="Runs",
        columns=("run", "began (UTC)", "command", "versions"),
        rows=tuple(rows),
        note="The same command again makes what is missing, and nothing else.",
    )


def _versions(text: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in json.loads(text).items())
