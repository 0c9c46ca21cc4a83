"""FAT's table and figures: they hold together on random weights, and FAT's order holds on the real board."""

import json

import numpy as np
import pytest

from accel_models.finn.board import read_board, write_board
from networks.zoo import zoo_path
from tests.helpers.finn_networks import random_network
from tests.helpers.program import document, run
from xbarsim.errors import InputError
from xbarsim.experiments.collecting import collect
from xbarsim.papers import fat
from xbarsim.papers.fat_numbers import TABLE_I
from xbarsim.papers.study import Settings

PNG = b"\x89PNG\r\n\x1a\n"
COMMANDS = ("fat-table1", "fat-fig9")


@pytest.fixture
def board(finn_data, monkeypatch):
    """The random board's folder, its images being the data set."""
    monkeypatch.setenv("XBARSIM_DATA", str(finn_data))
    return finn_data / "cnvW1A1"


@pytest.fixture(scope="module")
def made(finn_data):
    """The random board's task with all its trials."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBARSIM_DATA", str(finn_data))
        tasks = fat.channel_tasks(Settings(budget="smoke", boards=(finn_data / "cnvW1A1",)))
        return collect(tasks), tasks[0]


@pytest.fixture(scope="module")
def channels(made):
    return fat.stuck_channels(*made)


@pytest.fixture(scope="module")
def replication(made):
    return fat.replication(*made)


def test_every_channel_is_stuck_at_every_value(channels):
    results, extremes = channels.results, channels.extremes
    assert (results.baseline_hits, results.shots) == (15, 20)
    assert len(results.faults) == 3840
    assert sorted(zip(extremes.layer.tolist(), extremes.value.tolist(), strict=True)) == [
        (layer, value) for layer in range(8) for value in (-1, 1)
    ]
    layer, value = results.faults.column("layer"), results.faults.column("value")
    for place in range(16):
        own = results.accuracy[(layer == extremes.layer[place]) & (value == extremes.value[place])]
        assert (extremes.lowest[place], extremes.highest[place]) == (own.min(), own.max())


def test_table1_shows_the_paper_behind_ours(channels):
    table = fat.table_1(channels)
    assert table.columns == ("layer", "channels", "-1 min", "-1 max", "+1 min", "+1 max")
    assert [row[:2] for row in table.rows] == [
        (str(m), str(rows)) for m, rows in enumerate((64, 64, 128, 128, 256, 256, 512, 512))
    ]
    for row, paper in zip(table.rows, TABLE_I.values(), strict=True):
        assert [float(cell.split("(")[1].rstrip(")")) for cell in row[2:]] == list(paper[1:])
    assert "error-free 75.00%" in table.title
    assert "3,840 faults x 20 images" in table.note


def test_networks_that_are_not_the_papers_stand_alone(finn_data, board, tmp_path):
    write_board(random_network("lfcW1A1", np.random.default_rng(2)), tmp_path / "lfcW1A1")
    settings = Settings(budget="smoke", boards=(tmp_path / "lfcW1A1",))
    shown = fat.TABLE_1.show(collect(fat.TABLE_1.tasks(settings)), settings)
    (table,) = shown.tables
    assert len(table.rows) == 4
    assert not any("(" in cell for row in table.rows for cell in row)
    assert table.note.startswith("Worst: layer ")


def test_replication_only_helps_and_only_costs(replication):
    assert (replication.baseline_hits, replication.shots) == (15, 20)
    for curve in (replication.unrolled, replication.folded):
        assert len(curve.cost) == 1 + 1920
        assert curve.cost[0] == 1
        assert (np.diff(curve.cost) >= 0).all()
        assert (np.diff(curve.error_percent) <= 0).all()
        assert curve.error_percent[-1] == 25
        assert (np.diff(curve.cost[curve.front]) > 0).all()
        assert (np.diff(curve.error_percent[curve.front]) < 0).all()
    for front in fat.fronts(replication).values():
        assert front[0]["protected"] == 0
        assert front[-1]["worst_hits"] == 15


def test_figure9_table_ends_with_every_channel(replication):
    table = fat.replication_table(replication)
    assert [row[0] for row in table.rows] == [*map(str, fat.SHOWN_STEPS), "1920"]
    assert all(float(row[1]) + float(row[2]) == 100 for row in table.rows)


def test_figures_are_drawn(made, board, replication, tmp_path):
    shown = fat.TABLE_1.show(made[0], Settings(budget="smoke", boards=(board,)))
    for place, draw in enumerate((shown.figures["fat-fig3.png"], lambda: fat.figure_9([replication] * 2))):
        draw().savefig(tmp_path / f"{place}.png")
        assert (tmp_path / f"{place}.png").read_bytes().startswith(PNG)


def test_table1_from_the_command_line(capsys, board, channels, tmp_path):
    command = ["study", "fat-table1", "--board", board, "--networks", tmp_path / "kept"]
    found = document(capsys, *command, "--budget", "smoke", "--out", tmp_path / "out")
    assert found["command"] == "study fat-table1"
    assert (found["results"]["baseline_hits"], found["results"]["shots"]) == (15, 20)
    assert found["results"]["layers"]["least_hits"] == channels.extremes.least_hits.tolist()
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"study-fat-table1.json", "fat-fig3.png"}
    assert json.loads((tmp_path / "out" / "study-fat-table1.json").read_text()) == found
    assert (tmp_path / "out" / "fat-fig3.png").read_bytes().startswith(PNG)
    code, out, err = run(capsys, *command)
    assert (code, err) == (0, "")
    assert "cnvW1A1, one channel stuck, accuracy in % on 20 images; error-free 75.00%" in out


def test_figure9_from_the_command_line_takes_several_boards(capsys, board, replication, tmp_path):
    options = ["--board", board, "--board", board, "--networks", tmp_path / "kept", "--out", tmp_path / "out"]
    found = document(capsys, "study", "fat-fig9", *options, "--budget", "smoke")
    one, other = found["results"]["networks"]
    assert one == other
    assert one["unrolled"]["price"] == replication.unrolled.price.tolist()
    assert found["results"]["fronts"] == [fat.fronts(replication)] * 2
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"study-fat-fig9.json", "fat-fig9.png"}
    assert (tmp_path / "out" / "fat-fig9.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--budget", "huge"], "budget: expected one of cpu, full, smoke, got 'huge'"),
        (["--board", "nowhere"], "network: expected a file"),
        (["--board", "mnist"], "expected a network of cnvW1A1"),
        ([], "expected the parameter files of cnvW1A1, got no such folder; set XBARSIM_DATA or name a board"),
        (["--out", "cnvW1A1/classes.txt"], "expected a place that can be written"),
    ],
)
def test_mistakes_get_one_line(capsys, board, monkeypatch, tmp_path, command, options, words):
    monkeypatch.chdir(board.parent)
    code, out, err = run(capsys, "study", command, *options, "--networks", tmp_path / "kept")
    assert (code, out) == (2, "")
    assert err.startswith("xbarsim: ")
    assert err.count("\n") == 1
    assert words in err


def test_table_1_is_of_one_board(board):
    with pytest.raises(InputError, match="boards: expected one, got 2"):
        fat.TABLE_1.tasks(Settings(budget="smoke", boards=(board, board)))


def test_checkpoints_are_boards_too(data_folder):
    path = zoo_path("cnv-w1a1-half")
    (task,) = fat.FIGURE_9.tasks(Settings(budget="smoke", boards=(path,)))
    assert task.workload.describe()["network"] == "cnv-w1a1-half"
    assert task.trials == 2 * 32 * (1 + 1 + 2 + 2 + 4 + 4 + 8 + 8)
    assert task.workload.describe()["images"] == 100


def test_real_board_has_fats_worst_place(capsys, data_folder, tmp_path):
    folder = data_folder / "bnn-pynq" / "cifar10" / "cnvW1A1"
    if not folder.is_dir():
        pytest.skip("XBARSIM_DATA has no bnn-pynq/cifar10/cnvW1A1")
    assert read_board(folder).name == "cnvW1A1"
    command = ["study", "fat-table1", "--budget", "smoke", "--networks", tmp_path]
    found = document(capsys, *command)["results"]
    layers = found["layers"]
    worst = int(np.argmin(layers["least_hits"]))
    assert (found["baseline_hits"], found["shots"]) == (85, 100)
    assert (layers["layer"][worst], layers["value"][worst], layers["least_hits"][worst]) == (1, 1, 74)
    code, out, _ = run(capsys, *command)
    assert code == 0
    assert "layer 1 stuck at +1, as in the paper" in " ".join(out.split())
