"""What commands show: tables, one document, files and progress."""

import json
import sys

import numpy as np
import pytest
import typer

from tests.helpers.program import run
from tests.helpers.subjects import digits_subject
from xbarsim.cli import output
from xbarsim.detection.patterns import OriginalImages
from xbarsim.errors import InputError
from xbarsim.experiments.collecting import collect
from xbarsim.experiments.experiment import grid
from xbarsim.experiments.measures import Accuracy, Detection
from xbarsim.faults.stuck_cells import StuckCells

TABLES = ("march", "list")


@pytest.fixture(scope="module")
def results():
    subject = digits_subject(images=10)
    measures = [Accuracy(), Detection(detector=OriginalImages(patterns=2))]
    return collect(grid(measures, subjects=subject, faults=StuckCells(rate=0.01), trials=2))


def test_a_document_has_every_count_of_every_trial(results):
    found = output.results_document(results)["tasks"]
    assert json.loads(json.dumps(found, default=lambda value: value.__dict__))[0]["shots"] == [10, 10]
    accuracy, detection = found
    assert set(accuracy["counts"]) == {"faults", "used_faults"}
    assert set(detection["counts"]) == {"faults", "used_faults", "score"}
    for task in found:
        assert task["trial"] == [0, 1] and len(task["hits"]) == 2 and task["is"]["images"] == 10


def test_a_line_about_waiting_is_no_result(capsys):
    output.say("waiting for workers")
    assert capsys.readouterr() == ("", "waiting for workers\n")


def test_tables_of_a_pipe_are_wide(capsys):
    _, out, _ = run(capsys, *TABLES)
    assert max(map(len, out.splitlines())) > 80


def test_files_are_written_whole_or_not_at_all(folder, results):
    path = output.write_bytes(b"abc", folder / "a")
    assert path.read_bytes() == b"abc"
    frame = output.write_frame(results.trials, folder / "t.csv")
    assert frame.read_text().count("\n") == 5
    with pytest.raises(InputError, match="a place that can be written"):
        output.write_bytes(b"abc", folder / "a" / "b")
    assert sorted(p.name for p in folder.iterdir()) == ["a", "t.csv"]


def test_the_command_is_told_as_one_would_type_it(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "simulate", "--faults", "a b"])
    assert output.command_line() == "xbarsim simulate --faults 'a b'"


def test_figures_are_drawn_only_to_be_saved(capsys, folder):
    context = typer.main.get_command(_command()).make_context("xbarsim", [])
    drawn = []
    figures = {"a.png": lambda: drawn.append(1)}
    output.finish(context, {"n": np.int64(3)}, [], as_json=True, figures=figures)
    assert json.loads(capsys.readouterr().out)["results"] == {"n": 3} and not drawn


def _command():
    app = typer.Typer()
    app.command()(lambda: None)
    return app


def test_a_folder_is_checked_before_the_work(folder):
    (folder / "file").write_text("")
    with pytest.raises(InputError, match="a place that can be written"):
        output.prepare(folder / "file")
