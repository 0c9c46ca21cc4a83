"""A module and data in a user's own file, by command line alone, from simulate to report."""

import pytest

import xbarsim as xb
from tests.helpers.program import document, refused, run_well

OWN = """
import numpy as np
import torch
from torch import nn


class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(16, 24), nn.Linear(24, 3)

    def forward(self, x):
        return self.last(torch.relu(self.first(x.flatten(1))))


def points(count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    images = rng.normal(0, 0.25, (count, 1, 4, 4)).astype(np.float32)
    images[np.arange(count), 0, labels, labels] += 1.0
    return images, labels


def network():
    torch.manual_seed(0)
    module = Mine()
    images, labels = points(300, 1)
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(60):
        loss = nn.functional.cross_entropy(module(torch.from_numpy(images)), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return module


def data():
    return {"train": points(300, 1), "test": points(80, 2)}
"""
CAMPAIGN = """
name = "own"
trials = 3
networks = [{name = "mine.py:network", data = "mine.py:data", label = "mine"}]
accelerators = ["isaac"]
repairs = ["as-it-is", "closest-values"]
detectors = ["adversarial:patterns=4"]
[[faults]]
name = "none"
[[faults]]
name = "stuck-cells"
rate = [0.02, 0.05]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "own.toml").write_text(CAMPAIGN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


MINE = ("-n", "mine.py:network", "-d", "mine.py:data")
STUCK = ("--faults", "stuck-cells:rate=0.03", "--chips", "2")


def test_simulate(capsys):
    found = document(capsys, "simulate", *MINE, *STUCK)["results"]["tasks"][0]
    assert found["is"]["network"] == "network" and found["facts"]["shots"] == 80
    assert found["facts"]["healthy_hits"] > 60
    assert "network on isaac" in run_well(capsys, "simulate", *MINE, *STUCK)


def test_detect(capsys):
    shown = run_well(capsys, "detect", *MINE, *STUCK, "--detectors", "adversarial:patterns=5")
    assert "5 adversarial, SDC-3%" in shown


def test_repair(capsys, folder):
    chosen = ("--repairs", "as-it-is", "--repairs", "retrain:epochs=2")
    shown = run_well(capsys, "repair", *MINE, *STUCK, *chosen, "--out", "sent")
    assert "retrain, epochs 2" in shown
    sent = {path.name for path in folder.glob("sent/*.safetensors")}
    assert sent == {"chip-0-update.safetensors", "chip-1-update.safetensors"}


def test_campaign_and_report(capsys, folder):
    shown = run_well(capsys, "campaign", "run", "own.toml", "--plugin", "mine.py", "--workers", "2")
    assert "closest-values" in shown and "4 adversarial" in shown
    run_well(capsys, "report", "own.db")
    assert "mine" in (folder / "own.html").read_text()
    results = xb.read_results("own.db")
    assert {task.description["network"] for task in results.tasks} == {"mine"}
    alone = document(capsys, "simulate", *MINE, "--faults", "stuck-cells:rate=0.05", "--chips", "3")
    same = results.where(faults__rate=0.05, repair="as-it-is", metric="accuracy")
    assert same.trials["hits"].tolist() == alone["results"]["tasks"][0]["hits"]


def test_code_in_a_campaign_runs_only_if_its_file_is_named(capsys, folder):
    (folder / "mine.py").write_text("raise SystemExit('ran')")
    line = refused(capsys, "campaign", "run", "own.toml")
    assert "mine.py:network" in line and "named" in line
    assert not (folder / "own.db").exists()


def test_what_is_wrong_in_ones_own_file_is_refused(capsys, folder):
    (folder / "broken.py").write_text("def network():\n    return 1 / 0\n\ndef data():\n    return 3\n")
    assert "ZeroDivisionError" in refused(capsys, "simulate", "-n", "broken.py:network", "-d", "mine.py:data")
    assert "int" in refused(capsys, "simulate", "-n", "mine.py:network", "-d", "broken.py:data")
    assert "nothere" in refused(capsys, "simulate", "-n", "mine.py:nothere", "-d", "mine.py:data")
    assert "its data" in refused(capsys, "simulate", "-n", "mine.py:network")
