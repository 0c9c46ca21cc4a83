"""`xbarsim study` from outside, with a study made up: what it lacks is made, and what it shows is shown."""

from dataclasses import replace

import pytest

from tests.helpers.program import document, refused, run_well
from tests.helpers.workloads import Chips, Odd
from xbarsim.campaigns.task import Task
from xbarsim.papers.studies import STUDIES, study
from xbarsim.papers.study import Settings, Shown, Study
from xbarsim.report.tables import Table

NAME = next(iter(STUDIES))
asked: list[Settings] = []


def tasks(settings):
    asked.append(settings)
    trials = {"smoke": 2, "cpu": 3, "full": 4}[settings.budget]
    return [Task(workload=Chips(rate=rate), trials=trials, seed=settings.seed) for rate in (0.1, 0.2)]


def show(results, settings):
    rows = tuple((task.key[:8], str(task.done)) for task in results.tasks)

    def written(path):
        path.write_text("mine")
        return path

    return Shown(
        results={"hits": results.trials["hits"].tolist(), "budget": settings.budget},
        tables=[Table(title="Made up", columns=("task", "trials"), rows=rows)],
        figures={"curve.png": lambda: results.plot(x="faults.rate")},
        files={"mine.txt": written},
    )


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    asked.clear()
    found = Study(tasks=tasks, show=show, seed=7)
    monkeypatch.setattr("xbarsim.papers.studies.study", lambda name: found)
    return found


def test_tasks_are_made_and_shown(capsys, folder):
    out = run_well(capsys, "study", NAME, "--budget", "smoke")
    assert "Made up" in out
    assert [(s.budget, s.seed, s.device, s.boards) for s in asked] == [("smoke", 7, "cpu", ())]
    assert (folder / "trained" / f"{NAME}-smoke-seed-7.db").exists()


def test_the_same_command_makes_nothing_again(capsys, folder):
    one, two = (document(capsys, "study", NAME, "--networks", "here", "--seed", "3") for _ in range(2))
    assert one["results"] == two["results"] and len(one["results"]["hits"]) == 6
    assert one["parameters"]["seed"] == 3
    assert [path.suffix for path in (folder / "here").iterdir() if path.suffix == ".db"] == [".db"]
    other = document(capsys, "study", NAME, "--networks", "here", "--seed", "4")
    assert other["results"]["hits"] != one["results"]["hits"]


def test_figures_and_files_are_written_with_the_results(capsys, folder):
    run_well(capsys, "study", NAME, "--out", "out", "--store", "s.db")
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == {f"study-{NAME}.json", "curve.png", "mine.txt"} and (folder / "s.db").exists()


def test_settings_reach_the_study(capsys, folder):
    run_well(capsys, "study", NAME, "--board", "a", "--board", "b", "--device", "cuda", "--budget", "full")
    (settings,) = asked
    assert [path.name for path in settings.boards] == ["a", "b"]
    assert (settings.device, settings.budget, settings.folder.name) == ("cuda", "full", "trained")


def test_mistakes_are_one_line(capsys, folder, made_up, monkeypatch):
    assert "--budget: expected one of cpu, full, smoke" in refused(capsys, "study", NAME, "--budget", "huge")
    (folder / "file").write_text("")
    assert "a place that can be written" in refused(capsys, "study", NAME, "--networks", "file")
    failing = replace(made_up, tasks=lambda settings: [Task(workload=Odd(), trials=3)])
    monkeypatch.setattr("xbarsim.papers.studies.study", lambda name: failing)
    assert "IndexError" in refused(capsys, "study", NAME)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_a_command_with_a_line_about_it(capsys, name):
    about = " ".join(run_well(capsys, "study", name, "--help").split())
    assert STUDIES[name].about in about


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_where_the_list_says(name):
    assert isinstance(study(name), Study)
