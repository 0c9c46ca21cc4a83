"""Campaigns and their report from outside."""

import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from tests.helpers.program import document, run
from xbarsim.campaigns.exchange import read_frame
from xbarsim.campaigns.store import Store

CAMPAIGN = """\
name = "digits"
trials = 6
images = 40
networks = ["digits-mlp"]
accelerators = ["isaac"]
methods = ["none", "closest"]

[[faults]]
model = "cells"
rates = [0.01, 0.03]
"""


@pytest.fixture
def campaign(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(CAMPAIGN)
    return path


def refused(capsys, *arguments):
    """The one line of a refused command."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err


def test_a_plan_counts_before_anything_starts(campaign, capsys):
    code, out, _ = run(capsys, "campaign", "plan", campaign)
    assert code == 0 and "4 tasks, 24 trials." in out
    assert len(document(capsys, "campaign", "plan", campaign)["results"]["tasks"]) == 4
    assert not campaign.with_suffix(".db").exists()


def test_a_run_makes_what_is_missing_and_status_tells(campaign, capsys):
    first = document(capsys, "campaign", "run", campaign, "--workers", "2")["results"]
    assert first["run"] == {"made": 24, "failed": 0, "unprepared": {}}
    again = document(capsys, "campaign", "run", campaign)["results"]
    assert again["run"]["made"] == 0 and again["tasks"] == first["tasks"]
    store = campaign.with_suffix(".db")
    code, out, _ = run(capsys, "campaign", "status", store)
    assert code == 0 and out.count("6 of 6") == 4
    status = document(capsys, "campaign", "status", store)["results"]
    hits = read_frame(store).groupby("task", observed=True).hits.mean() / 40
    for entry in status["tasks"]:
        assert entry["estimate"]["value"] == pytest.approx(hits[entry["task"]["key"]])


def test_a_rule_given_beside_the_file_ends_tasks(campaign, capsys):
    text = CAMPAIGN.replace("trials = 6", "trials = 500").replace('"none", "closest"', '"none"')
    campaign.write_text(text.replace("rates = [0.01, 0.03]", "rates = [0.01]"))
    found = document(capsys, "campaign", "run", campaign, "--until", "accuracy ± 20 %")["results"]
    assert [entry["done"] for entry in found["tasks"]] == [63]
    assert found["tasks"][0]["task"]["stop"] == "accuracy ± 20 % at 95 %"


def test_a_log_gets_a_line_now_and_then(campaign, capsys, monkeypatch):
    monkeypatch.setattr("xbarsim.cli.campaign.SECONDS_BETWEEN_LINES", 0.0)
    code, _, err = run(capsys, "campaign", "run", campaign)
    assert code == 0
    assert re.search(r"24 of 24 trials, [0-9.]+/s, accuracy [0-9.]+ ± [0-9.]+ %\n", err)


def test_two_stores_become_one_and_go_out_as_tables(campaign, capsys, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(CAMPAIGN.replace("trials = 6", "trials = 4").replace("0.03", "0.05"))
    for path in (campaign, other):
        assert run(capsys, "campaign", "run", path)[0] == 0
    both = tmp_path / "both.db"
    code, out, _ = run(capsys, "campaign", "merge", both, tmp_path / "c.db", tmp_path / "other.db")
    assert code == 0 and out.count("6 of 6") == 4 and out.count("4 of 4") == 2
    assert run(capsys, "campaign", "export", both, tmp_path / "t.csv")[0] == 0
    assert run(capsys, "campaign", "export", both, tmp_path / "t.parquet")[0] == 0
    assert len(pd.read_csv(tmp_path / "t.csv")) == len(pd.read_parquet(tmp_path / "t.parquet")) == 32


def test_a_report_is_written_beside_the_store(campaign, capsys, tmp_path):
    run(capsys, "campaign", "run", campaign)
    code, out, _ = run(capsys, "report", tmp_path / "c.db")
    assert code == 0 and out == f"wrote {tmp_path / 'c.html'}\n"
    code, out, _ = run(
        capsys, "report", tmp_path / "c.db", "--figures", tmp_path / "f", "--only", "accuracy-digits-mlp"
    )
    assert code == 0 and sorted(os.listdir(tmp_path / "f")) == [
        "accuracy-digits-mlp.png", "accuracy-digits-mlp.svg"
    ]  # fmt: skip
    assert "--figures FOLDER" in refused(capsys, "report", tmp_path / "c.db", "--only", "x")


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (("trials = 6", "trails = 6"), [], "c.toml, line 2: trails: expected one of"),
        (None, ["--until", "soon"], "something like 'accuracy ± 0.2 % at 95 %'"),
        (None, ["--until", "detection ± 2 %"], "metric of the stopping rule: expected"),
        (None, ["--workers", "0"], "workers"),
        (None, ["--scheduler", "tcp://127.0.0.1:1"], "scheduler: expected a Dask scheduler that answers"),
        (None, ["--time-limit", "-1"], "time limit"),
    ],
)
def test_mistakes_are_one_line_and_make_no_store(campaign, capsys, change, options, words, monkeypatch):
    monkeypatch.setattr("xbarsim.campaigns.dask_backend.ANSWER_S", 1)
    if change:
        campaign.write_text(CAMPAIGN.replace(*change))
    assert words in refused(capsys, "campaign", "run", campaign, "--json", *options)
    store = campaign.with_suffix(".db")
    assert not store.exists() or not Store(store).status()[0].done


def test_other_files_are_no_stores(campaign, capsys, tmp_path):
    for command in (["campaign", "status"], ["report"]):
        assert "not a database" in refused(capsys, *command, campaign)
        assert "no such file" in refused(capsys, *command, tmp_path / "none.db")
    assert campaign.read_text() == CAMPAIGN
    assert "not a database" in refused(capsys, "campaign", "run", campaign, "--json", "--store", campaign)
    assert campaign.read_text() == CAMPAIGN


@pytest.mark.parametrize(
    ("workers", "sent", "code"), [(2, signal.SIGINT, 130), (1, signal.SIGINT, 130), (1, signal.SIGTERM, 143)]
)
def test_a_stopped_run_keeps_what_is_done_and_ends(campaign, tmp_path, workers, sent, code):
    campaign.write_text(CAMPAIGN.replace("trials = 6", "trials = 100000"))
    store = tmp_path / "c.db"
    # a test that runs in the background inherits that Ctrl-C is ignored
    script = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    script += "from xbarsim.cli.app import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", script, "campaign", "run", campaign, "-j", str(workers), "--json"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        while not (store.exists() and (tasks := Store(store).status()) and tasks[0].done > 8):
            assert running.poll() is None
            time.sleep(0.2)
        running.send_signal(sent)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
    assert (running.returncode, out) == (code, "")
    words = f"stopped; {store} has what was done, and the same command goes on\n"
    assert err == (words if sent == signal.SIGINT else "")
    assert Store(store).status()[0].done > 8 and not Store(store).failures()
    with Store(store, "write"):  # nobody holds it any more
        pass


def test_failed_trials_end_with_code_1(campaign, capsys, monkeypatch):
    def broken(*_, **__):
        raise ValueError("no luck")

    monkeypatch.setattr("xbarsim.studies.workloads.run_each", broken)
    campaign.write_text(CAMPAIGN.replace('"none", "closest"', '"none"'))
    code, out, _ = run(capsys, "campaign", "run", campaign)
    assert code == 1 and "12 trials failed; the latest errors: ValueError: no luck" in " ".join(out.split())


def test_a_report_of_a_folder_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (".", ""):
        assert "no such file" in refused(capsys, "report", name)
