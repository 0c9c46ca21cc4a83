"""Campaigns from outside."""

import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from tests.helpers.program import document, refused, run, run_well
from xbarsim.campaigns.exchange import read_frame
from xbarsim.campaigns.store import Store

CAMPAIGN = """\
name = "digits"
trials = 6
images = 40
networks = ["digits-mlp"]
accelerators = ["isaac"]
repairs = ["as-it-is", "closest-values"]

[[faults]]
name = "stuck-cells"
rate = [0.01, 0.03]
"""
PLAIN = ('"as-it-is", "closest-values"', '"as-it-is"')


@pytest.fixture
def campaign(folder):
    path = folder / "c.toml"
    path.write_text(CAMPAIGN)
    return path


def test_a_plan_counts_before_anything_starts(campaign, capsys):
    assert "4 tasks, 24 trials." in run_well(capsys, "campaign", "plan", campaign)
    found = document(capsys, "campaign", "plan", campaign)["results"]["tasks"]
    assert [task["trials"] for task in found] == [6] * 4 and found[0]["is"]["repair"] == {"name": "as-it-is"}
    assert not campaign.with_suffix(".db").exists()


def test_a_run_makes_what_is_missing_and_status_tells(campaign, capsys):
    first = document(capsys, "campaign", "run", campaign, "--workers", "2")["results"]
    assert first["run"] == {"made": 24, "failed": 0, "unprepared": {}}
    again = document(capsys, "campaign", "run", campaign)["results"]
    assert again["run"]["made"] == 0 and again["tasks"] == first["tasks"]
    store = campaign.with_suffix(".db")
    assert run_well(capsys, "campaign", "status", store).count("6 of 6") == 4
    status = document(capsys, "campaign", "status", store)["results"]
    hits = read_frame(store).groupby("task", observed=True).hits.mean() / 40
    for entry in status["tasks"]:
        assert entry["estimate"]["value"] == pytest.approx(hits[entry["task"]["key"]])


def test_tasks_that_read_the_same_are_told_apart_in_plan_and_status(campaign, capsys, folder):
    (folder / "slow.toml").write_text('base = "isaac"\nname = "isaac"\n[cell]\nt_read_ns = 99.0\n')
    text = CAMPAIGN.replace('["isaac"]', '["isaac", "slow.toml"]').replace(
        "[0.01, 0.03]", "[0.01, 0.0100001]"
    )
    campaign.write_text(text.replace("trials = 6", "trials = 1"))
    planned = run_well(capsys, "campaign", "plan", campaign)
    status = run_well(capsys, "campaign", "run", campaign)
    for out in (planned, status):
        assert "hardware" in out and "1.00001 %" in " ".join(out.split())
    found = document(capsys, "campaign", "plan", campaign)["results"]["tasks"]
    assert len({task["key"] for task in found}) == 8


def test_a_rule_given_beside_the_file_ends_tasks(campaign, capsys):
    text = CAMPAIGN.replace("trials = 6", "trials = 500").replace(*PLAIN)
    campaign.write_text(text.replace("rate = [0.01, 0.03]", "rate = 0.01"))
    found = document(capsys, "campaign", "run", campaign, "--until", "accuracy ± 20 %")["results"]
    (entry,) = found["tasks"]
    assert entry["done"] < 100 and entry["task"]["stop"] == "accuracy ± 20 % at 95 %"


def test_a_log_gets_a_line_now_and_then(campaign, capsys, monkeypatch):
    monkeypatch.setattr("xbarsim.cli.output.SECONDS_BETWEEN_LINES", 0.0)
    code, _, err = run(capsys, "campaign", "run", campaign)
    assert code == 0
    assert re.search(r"24 of 24 trials, [0-9.]+/s, accuracy [0-9.]+ ± [0-9.]+ %\n", err)


def test_two_stores_become_one_and_go_out_as_tables(campaign, capsys, folder):
    other = folder / "other.toml"
    other.write_text(CAMPAIGN.replace("trials = 6", "trials = 4").replace("0.03", "0.05"))
    for path in (campaign, other):
        run_well(capsys, "campaign", "run", path)
    out = run_well(capsys, "campaign", "merge", "both.db", "c.db", "other.db")
    assert out.count("6 of 6") == 4 and out.count("4 of 4") == 2
    run_well(capsys, "campaign", "export", "both.db", "t.csv")
    run_well(capsys, "campaign", "export", "both.db", "t.parquet")
    assert len(pd.read_csv("t.csv")) == len(pd.read_parquet("t.parquet")) == 32


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (("trials = 6", "trails = 6"), [], "c.toml, line 2: trails: expected one of"),
        (("0.03]", "1.3]"), [], "c.toml, line 8: faults.0: "),
        (('"isaac"', '"finn"'), [], "no use for"),
        (None, ["--until", "soon"], "--until: expected something like 'accuracy ± 0.2 % at 95 %'"),
        (None, ["--until", "detection ± 2 %"], "metric of the stopping rule: expected"),
        (None, ["--workers", "0"], "--workers"),
        (None, ["--scheduler", "tcp://127.0.0.1:1"], "--scheduler: expected a Dask scheduler that answers"),
        (None, ["--time-limit", "-1"], "--time-limit: expected"),
        (None, ["--memory-limit", "1"], "--memory-limit: expected"),
        (None, ["--plugin", "none.py"], "code none.py"),
    ],
)
def test_mistakes_are_one_line_and_make_no_store(campaign, capsys, change, options, words, monkeypatch):
    monkeypatch.setattr("xbarsim.campaigns.dask_connection.ANSWER_S", 1)
    if change:
        campaign.write_text(CAMPAIGN.replace(*change))
    assert words in refused(capsys, "campaign", "run", campaign, "--json", *options)
    store = campaign.with_suffix(".db")
    assert not store.exists() or not Store(store).status()[0].done


def test_other_files_are_no_stores(campaign, capsys):
    assert "not a database" in refused(capsys, "campaign", "status", campaign)
    assert "no such file" in refused(capsys, "campaign", "status", "none.db")
    assert "no such file" in refused(capsys, "campaign", "export", "none.db", "t.csv")
    assert "not a database" in refused(capsys, "campaign", "run", campaign, "--json", "--store", campaign)
    assert campaign.read_text() == CAMPAIGN


@pytest.mark.parametrize(
    ("workers", "sent", "code"), [(2, signal.SIGINT, 130), (1, signal.SIGINT, 130), (1, signal.SIGTERM, 143)]
)
def test_a_stopped_run_keeps_what_is_done_and_ends(campaign, folder, workers, sent, code):
    campaign.write_text(CAMPAIGN.replace("trials = 6", "trials = 100000"))
    store = folder / "c.db"
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
    assert err == "xbarsim: stopped; what was done is kept, and the same command goes on\n"
    assert Store(store).status()[0].done > 8 and not Store(store).failures()
    with Store(store, "write"):  # nobody holds it any more
        pass


def test_failed_trials_end_with_code_1(campaign, capsys, monkeypatch):
    def broken(*_, **__):
        raise ValueError("no luck")

    monkeypatch.setattr("xbarsim.experiments.measures.faults_of", broken)
    campaign.write_text(CAMPAIGN.replace(*PLAIN))
    code, out, _ = run(capsys, "campaign", "run", campaign)
    assert code == 1 and "12 trials failed; the latest errors: ValueError: no luck" in " ".join(out.split())
