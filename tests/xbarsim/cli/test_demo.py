"""`xbarsim demo` from outside."""

from tests.helpers.program import document, run_well
from xbarsim.faults.cell_map import FaultMap

FEW = ("--chips", "2", "--tested", "3")


def test_the_whole_story(capsys, folder):
    out = run_well(capsys, "demo", *FEW)
    for title in (
        "Accuracy on 500 test images", "Repairs against as-it-is", "Detection of faulty chips", "Latency of a test",
        "What the repairs took",
    ):  # fmt: skip
        assert title in out
    files = {path.name for path in (folder / "demo-results").iterdir()}
    assert files == {"accuracy.png", "detection.png", "chip-0.png", "demo.json", "chip-0.safetensors"}
    assert len(FaultMap.load("demo-results/chip-0.safetensors")) > 3000


def test_retraining_wins_accuracy_back_and_faults_are_found(capsys):
    tasks = document(capsys, "demo", *FEW, "--out", "out")["results"]["tasks"]
    repaired = {task["facts"]["words"]["repair"]: sum(task["hits"]) for task in tasks if "detector" not in task["is"]}
    assert len(repaired) == 4
    assert repaired["as-it-is"] < repaired["closest-values"] and repaired["as-it-is"] < repaired["retrain"]
    alarms = [task for task in tasks if task["is"]["faults"]["name"] == "none"]
    assert [task["hits"] for task in alarms] == [[0, 0, 0]] * 2
