"""A campaign's page and figures: all there, self-contained, and without errors in a browser."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest
from matplotlib.image import imread

from tests.helpers.workloads import Chips, Odd
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store
from xbarsim.campaigns.task import Task
from xbarsim.errors import InputError
from xbarsim.report.page import write_figures, write_report
from xbarsim.report.result_figures import figures
from xbarsim.report.results import read_results


@pytest.fixture(scope="module")
def names(store):
    return [shown.name for shown in figures(read_results(store))]


def test_figures_are_written_as_png_and_svg(store, tmp_path, names):
    (png, svg) = write_figures(store, tmp_path, only="accuracy-digits-mlp")
    assert imread(png).std() > 0.01 and "<svg" in svg.read_text()
    with pytest.raises(InputError, match=r"figure: expected one of accuracy-digits-mlp"):
        write_figures(store, tmp_path, only="none")
    assert len(write_figures(store, tmp_path / "all")) == 2 * len(names)


def test_the_page_needs_nothing_else_and_escapes_what_users_wrote(store, tmp_path, names):
    path = write_report(store, tmp_path / "report.html", command=lambda name: f"draw '{name}' & more")
    text = path.read_text()
    assert path.stat().st_size < 5e6
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    assert "url(http" not in text and "@import" not in text
    assert "<b>no</b>" not in text and "&lt;b&gt;no&lt;/b&gt;" in text
    assert "&lt;a&gt; &amp; " in text
    for name in names:
        assert f"draw &#39;{name}&#39; &amp; more" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


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
        '{"faults": {"name": "stuck-cells", "rate": null}, "metric": "accuracy", "network": null}',
        '{"faults": {"name": "single"}, "metric": "accuracy", "network": "n"}',
        '{"faults": {"name": "stuck-cells", "rate": 0.1}, "metric": "accuracy", "network": "a$_{b$"}',
        '{"faults": {"name": "stuck-cells", "rate": 0.1}, "metric": "detection", "network": "n"}',
        '{"faults": "none", "repair": "none", "metric": "accuracy", "network": {"name": 5}}',
        '{"faults": {"rate": 0.1}, "metric": "detection", "detector": 5, "accelerator": ["a"]}',
    ],
)
def test_workloads_of_ones_own_have_a_page_too(tmp_path, words):
    other = words.replace("0.1}", "0}")
    tasks = [Task(workload=Own(words=text), trials=3) for text in dict.fromkeys((words, other))]
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
def test_a_browser_shows_every_figure_without_errors_and_tables_sort(store, tmp_path, names):
    page = write_report(store, tmp_path / "report.html")
    text = page.read_text()
    place = read_results(store).table().columns.index("mean [%]")
    click = f"document.querySelectorAll('#tasks th button')[{place}].click();"
    page.write_text(text.replace("</body>", f"<script>{click}</script></body>"))
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
         f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    dom = done.stdout
    for name in names:
        section = dom[dom.index(f'<section id="{name}">') :]
        figure = section[: section.index("</section>")]
        assert "<svg" in figure and figure.count("<path") > 5
    tasks = dom[dom.index('<section id="tasks">') :]
    rows = re.findall(r"<tr>(.*?)</tr>", tasks[: tasks.index("</section>")], re.DOTALL)[1:]
    means = [float(re.findall(r">([^<]*)</td>", row)[place]) for row in rows]
    assert means == sorted(means) and len(set(means)) > 3
    assert 'aria-sort="ascending"' in tasks
