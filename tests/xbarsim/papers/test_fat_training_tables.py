"""FAT's Tables II to IV: what they show, from any process that was killed or not."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from accel_models.finn.concurrent import FaultResults
from tests.helpers.program import document
from xbarsim.campaigns.store import Store
from xbarsim.documents import plain
from xbarsim.experiments.collecting import collect
from xbarsim.faults.pe import PeFaults
from xbarsim.papers.fat_numbers import TABLE_II, TABLE_IV
from xbarsim.papers.fat_training import fat_budget, table_trainings
from xbarsim.papers.fat_training_tables import (
    TABLE_2,
    TABLE_4,
    StuckNetwork,
    record,
    stuck_networks,
    table_tasks,
    trained_figure,
    trained_table,
    verdict,
)
from xbarsim.papers.study import Settings

CODE = "from xbarsim.cli.app import main; main()"
STORE = "fat-table2-smoke-seed-0.db"


def network(method, lowest, *, table=2, seconds=60.0):
    """A network of ten images, right on 9, under two faults."""
    (training,) = (t for t in table_trainings(table, fat_budget("cpu")) if t.method == method)
    results = FaultResults(
        faults=PeFaults.of(kind="channel", layer=0, unit=[0, 1], value=1),
        hits=np.array([lowest, 8]),
        flips=np.array([9 - lowest, 1]),
        masked=np.array([0, 0]),
        baseline_hits=9,
        shots=10,
    )
    return StuckNetwork(training=training, results=results, train_seconds=seconds)


def test_numbers_are_those_of_the_counts():
    found = network("plain", 4)
    assert (found.error_free, found.lowest, found.variance) == (90.0, 40.0, 400.0)
    kept = record(found)
    assert (kept["faults"], kept["baseline_hits"], kept["least_hits"], kept["shots"]) == (2, 9, 4, 10)
    assert kept["worst_fault"] == "channel in layer 0, unit 0, value 1"


def test_the_papers_numbers_stand_beside_ours():
    table = trained_table(2, [network("plain", 4), network("fat-1", 7)])
    assert table.rows[0][2:] == ("90.00", "40.00", "400.000", *_paper(TABLE_II["cnvW1A1", 0]))
    assert table.rows[1][5:] == ("85.07 at 5 %", "81.26", "0.150")
    assert "2 minutes" in table.note
    pixels = trained_table(4, [network(m, 5, table=4) for m in ("plain", "fat-1", "dropout2d")])
    assert pixels.rows[0][6] == f"{TABLE_IV['cnvW1A1'][0][2]:.2f}"
    assert "unknown time" in trained_table(2, [network("plain", 4, seconds=None), network("fat-1", 7)]).note


def _paper(numbers):
    return f"{numbers[0]:.2f}", f"{numbers[1]:.2f}", f"{numbers[2]:.3f}"


@pytest.mark.parametrize(
    ("table", "lowest", "words"),
    [
        (2, (4, 7), "(FAT above standard) holds: FAT's minimum is 30.0 points above"),
        (2, (7, 4), "does not hold: FAT's minimum is -30.0"),
        (3, (4, 7, 6), "FAT's minimum less Dropout2D's is 10.0 points"),
        (4, (4, 7, 6), "(FAT above Dropout2D above standard) holds"),
        (4, (4, 7, 3), "does not hold"),
    ],
)
def test_verdicts_say_whether_the_papers_order_holds(table, lowest, words):
    methods = ("plain", "fat-1", "dropout2d")
    found = [network(m, n, table=table) for m, n in zip(methods, lowest, strict=False)]
    assert words in verdict(table, found)


def test_figures_are_drawn(tmp_path):
    figure = trained_figure(2, [network("plain", 4), network("fat-1", 7)])
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_fault_free_tasks_come_first(data_folder, tmp_path):
    tasks = table_tasks(3, Settings(budget="smoke", folder=tmp_path))
    assert [task.trials for task in tasks] == [1, 1, 1, 480, 480, 480]


def test_pixels_are_those_of_the_program_before_tasks(data_folder, tmp_path):
    """Faults a network in Table IV, and the study's shape; the accuracies depend on the processor."""
    settings = Settings(budget="smoke", folder=tmp_path)
    results = collect(TABLE_4.tasks(settings), tmp_path / "t.db")
    found = stuck_networks(4, results, settings)
    assert [len(one.results.faults) for one in found] == [2548] * 3
    shown = TABLE_4.show(results, settings)
    assert len(shown.tables[0].rows) == len(shown.results["networks"]) == 3
    assert set(shown.figures) == {"fat-table4.png"}


def _study(folder):
    return ["study", "fat-table2", "--budget", "smoke", "--networks", str(folder)]


def _rows(store):
    if not store.exists():
        return 0
    with Store(store) as file:
        return sum(task.done for task in file.status())


def _without_seconds(networks):
    """The results without the times that trainings took."""
    return [{**one, "train_seconds": None} for one in networks]


@pytest.fixture(scope="module")
def whole(data_folder, tmp_path_factory):
    """A study that nobody stopped: its settings, its store, what it shows."""
    folder = tmp_path_factory.mktemp("whole")
    settings, store = Settings(budget="smoke", folder=folder), folder / STORE
    return settings, store, TABLE_2.show(collect(TABLE_2.tasks(settings), store), settings)


def test_a_killed_study_goes_on_to_the_same_table(whole, tmp_path, capsys):
    store = tmp_path / STORE
    command = [sys.executable, "-c", CODE, *_study(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not _rows(store) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = _rows(store)
    assert 0 < before < 2 * 481
    again = document(capsys, *_study(tmp_path))["results"]
    expected = json.loads(json.dumps(plain(whole[-1].results)))
    for found in (again, expected):
        found["networks"] = _without_seconds(found["networks"])
    assert again == expected
    assert _rows(store) == 2 * 481


def test_finished_studies_make_no_trial_again(whole):
    settings, store, first = whole
    for file in settings.folder.glob("*.safetensors"):
        file.unlink()
    again = TABLE_2.show(collect(TABLE_2.tasks(settings), store), settings)
    assert not list(settings.folder.glob("*.safetensors"))
    assert _without_seconds(first.results["networks"]) == again.results["networks"]
