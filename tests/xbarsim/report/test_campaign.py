"""A campaign's page and figures: all there, self-contained, and without errors in a browser."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest
from matplotlib.image import imread
from xbarsim.report.campaign_figures import figures
from xbarsim.report.campaign_results import pairs, read_results
from xbarsim.report.campaign_tables import task_table
from xbarsim.studies.single_faults import single_faults

from networks.zoo import zoo_path
from tests.xbarsim.campaigns.workloads import Chips, Odd
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store
from xbarsim.campaigns.task import Task
from xbarsim.errors import InputError
from xbarsim.metrics.intervals import paired_difference
from xbarsim.report.page import write_figures, write_report
from xbarsim.studies.workloads import CellFaults, ChipAccuracy, ChipDetection, placed

NAMES = {
    "accuracy-digits-mlp", "front-digits-mlp", "layers-cnvw1a1-channel",
    *(f"{kind}-digits-mlp-{name}" for kind in ("detection", "latency") for name in ("isaac", "isaac-slc")),
    *(f"chip-digits-mlp-{name}-even" for name in ("isaac", "isaac-slc")),
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory, finn_data):
    """Two accelerators, two rates, two methods, tests of chips, and single faults; one task fails."""
    path, tasks = tmp_path_factory.mktemp("campaign") / "small campaign.db", []
    for name in ("isaac", "isaac-slc"):
        subject = placed("digits-mlp", zoo_path("digits-mlp"), name, 40)
        for rate in (0.0, 0.01, 0.03):
            faults = CellFaults(rate=rate)
            workloads = [ChipAccuracy(subject=subject, faults=faults, method=m) for m in ("none", "closest")]
            workloads.append(ChipDetection(subject=subject, faults=faults, patterns=3))
            tasks += [Task(workload=workload, trials=4, seed=2) for workload in workloads]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBARSIM_DATA", str(finn_data))
        single = single_faults(finn_data / "cnvW1A1", ["channel"], 6)
        tasks.append(Task(workload=single, trials=60, seed=2))
        collect(tasks, path, command="xbarsim campaign run <a> & 'b'.toml")
    with Store(path, "write") as opened:
        opened.append_failure(1, 77, 1, 0.1, "ValueError: <b>no</b>")
    return path


def test_every_figure_is_there_with_its_words(store):
    found = {shown.name: shown for shown in figures(read_results(store))}
    assert set(found) == NAMES
    assert "60 of 3,840 single faults, each on 6 images" in found["layers-cnvw1a1-channel"].words


def test_figures_are_written_as_png_and_svg(store, tmp_path):
    (png, svg) = write_figures(store, tmp_path, only="accuracy-digits-mlp")
    assert imread(png).std() > 0.01 and "<svg" in svg.read_text()
    with pytest.raises(InputError, match=r"figure: expected one of accuracy-digits-mlp"):
        write_figures(store, tmp_path, only="none")
    assert len(write_figures(store, tmp_path / "all")) == 2 * len(NAMES)


def test_pairs_compare_the_same_chips(store):
    results = read_results(store)
    found = list(pairs(results))
    assert len(found) == 6
    for pair in found:
        after = results.trials_of(pair.task).hits / 40
        name, rate = pair.task.description["accelerator"], pair.task.description["faults"]["rate"]
        (plain,) = (
            task
            for task in results.of(metric="accuracy", method="none", accelerator=name)
            if task.description["faults"]["rate"] == rate
        )
        before = results.trials_of(plain).hits / 40
        assert pair.gain == paired_difference(after.tolist(), before.tolist())
        assert pair.chips == 4
    assert {str(task.moments.estimate()) for task in results.of(metric="accuracy", faults_rate=0.0)} == {
        "97.50% [97.50%, 97.50%]"
    }


def test_the_page_needs_nothing_else_and_escapes_what_users_wrote(store, tmp_path):
    path = write_report(store, tmp_path / "report.html")
    text = path.read_text()
    assert path.stat().st_size < 5e6
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    assert "url(http" not in text and "@import" not in text
    assert "<b>no</b>" not in text and "&lt;b&gt;no&lt;/b&gt;" in text
    assert "&lt;a&gt; &amp; " in text
    for name in NAMES:
        assert f"xbarsim report &#39;small campaign.db&#39; --figures figures --only {name}" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_tasks_that_differ_are_told_apart(tmp_path):
    """Seeds and numbers of patterns are lines and rows of their own."""
    subject = placed("digits-mlp", zoo_path("digits-mlp"), "isaac", 30)
    tasks = []
    for rate in (0.0, 0.03):
        faults = CellFaults(rate=rate)
        chips = ChipAccuracy(subject=subject, faults=faults)
        tasks += [Task(workload=chips, trials=3, seed=seed) for seed in (1, 2)]
        tests = [ChipDetection(subject=subject, faults=faults, patterns=n) for n in (2, 5)]
        tasks += [Task(workload=test, trials=3, seed=1) for test in tests]
    collect(tasks, tmp_path / "a.db")
    results = read_results(tmp_path / "a.db")
    shown = {figure.name: figure for figure in figures(results)}
    names = [line.get_label() for line in shown["accuracy-digits-mlp"].draw().axes[0].lines]
    assert names == ["isaac, none, seed 1", "isaac, none, seed 2"]
    assert "over 2 patterns" in shown["detection-digits-mlp-isaac"].words
    assert "over 5 patterns" in shown["detection-digits-mlp-isaac-2"].words
    rows = task_table(results).rows
    assert len({row[1:7] for row in rows}) == len(rows) == 8


@dataclass(frozen=True)
class Own(Chips):
    """A workload of somebody's own, described in words that the program's own workloads have too."""

    words: str = "{}"

    def describe(self):
        return json.loads(self.words)


@pytest.mark.parametrize(
    "words",
    [
        '{"faults": {"rate": "high", "kinds": [1, 2]}}',
        '{"faults": {"rate": [0.1], "kinds": "all"}}',
        '{"faults": {"model": "cells", "rate": null}, "metric": "accuracy", "network": null}',
        '{"faults": {"model": "single"}, "metric": "accuracy", "network": "n"}',
        '{"faults": {"model": "cells", "rate": 0.1}, "metric": "accuracy", "network": "a$_{b$"}',
        '{"faults": {"model": "cells", "rate": 0.1}, "metric": "detection", "network": "n"}',
    ],
)
def test_workloads_of_ones_own_have_a_page_too(tmp_path, words):
    other = words.replace("0.1}", "0}")
    tasks = [Task(workload=Own(words=text), trials=3) for text in (words, other)]
    collect(tasks, tmp_path / "a.db")
    page = write_report(tmp_path / "a.db", tmp_path / "a.html").read_text()
    assert "Tasks" in page and ("a$_{b$" in page) == ("a$_{b$" in words)


def test_failures_alone_make_a_page(tmp_path):
    task = Task(workload=Odd(how="unprepared"), trials=5)
    collect([task], tmp_path / "a.db")
    text = write_report(tmp_path / "a.db", tmp_path / "r.html").read_text()
    assert "FileNotFoundError: no weights" in text and task.key[:8] in text
    with pytest.raises(InputError, match="trials that a figure can show"):
        write_figures(tmp_path / "a.db", tmp_path)


def test_a_page_is_not_written_over_its_store(store):
    before = store.read_bytes()
    with pytest.raises(InputError, match="the store itself"):
        write_report(store, store.parent / "." / store.name)
    assert store.read_bytes() == before


def test_stores_without_trials_and_bad_places_are_refused(tmp_path, store):
    with Store(tmp_path / "empty.db", "write"):
        pass
    with pytest.raises(InputError, match="at least one trial"):
        write_report(tmp_path / "empty.db", tmp_path / "r.html")
    with pytest.raises(InputError, match="can be written"):
        write_report(store, tmp_path / "empty.db" / "r.html")


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_shows_every_figure_without_errors_and_tables_sort(store, tmp_path):
    page = write_report(store, tmp_path / "report.html")
    text = page.read_text()
    click = "document.querySelectorAll('#tasks th button')[7].click();"
    page.write_text(text.replace("</body>", f"<script>{click}</script></body>"))
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
         f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    dom = done.stdout
    for name in NAMES:
        section = dom[dom.index(f'<section id="{name}">') :]
        figure = section[: section.index("</section>")]
        assert "<svg" in figure and figure.count("<path") > 5
    tasks = dom[dom.index('<section id="tasks">') :]
    rows = re.findall(r"<tr>(.*?)</tr>", tasks[: tasks.index("</section>")], re.DOTALL)[1:]
    means = [float(re.findall(r">([^<]*)</td>", row)[7]) for row in rows]
    assert means == sorted(means) and len(set(means)) > 3
    assert 'aria-sort="ascending"' in tasks
