"""`xbarsim detect` from outside."""

from tests.helpers.program import document, refused, run_well

QUICK = ("--chips", "2", "--images", "40", "--seed", "3")


def test_every_detector_has_its_rate_its_false_alarms_and_its_latency(capsys, folder):
    found = document(capsys, "detect", *QUICK, "--out", "out")["results"]["tasks"]
    assert len(found) == 4 * 2  # four detectors, on faulty and on fault-free chips
    assert {task["is"]["detector"]["criterion"] for task in found} == {"SDC-1", "SDC-3%"}
    assert all(len(task["counts"]["score"]) == 2 for task in found)
    assert {path.name for path in (folder / "out").iterdir()} == {"detect.json", "detection.png", "trials.csv"}
    out = run_well(capsys, "detect", *QUICK)
    assert "Detection of faulty chips" in out and "Latency of a test" in out and "0 of 2" in out


def test_detectors_and_faults_are_chosen_by_words(capsys):
    chosen = ("-D", "march:march=MATS+,addressing=cell-serial", "-f", "stuck-cells:rate=0.001")
    faulty, free = document(capsys, "detect", *QUICK, *chosen)["results"]["tasks"]
    assert faulty["is"]["detector"]["march"] == "MATS+" and faulty["hits"] == [1, 1] and free["hits"] == [0, 0]
    assert "MATS+, cell-serial" in run_well(capsys, "detect", *QUICK, *chosen)


def test_a_test_of_cells_is_not_for_a_board(capsys, board):
    line = refused(capsys, "detect", *board, "--images", "4", "--chips", "2", "-D", "march")
    assert "expected a chip of ReRAM cells" in line


def test_a_board_has_no_float_answers_to_hold_against(capsys, board):
    line = refused(capsys, "detect", *board, "--images", "4", "--chips", "2", "-D", "original:patterns=2")
    assert "expected a torch module" in line
