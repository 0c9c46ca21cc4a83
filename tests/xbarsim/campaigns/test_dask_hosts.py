"""Dask over two hosts whose link is bad or gone: rows are a serial run's, or one line says what is missing.

Minutes long, so in thorough runs only; `test_dask_backend.py` has the same over a proxy.
"""

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from hypothesis import settings

from tests.helpers.campaigns import rows, tasks
from tests.helpers.dask_clusters import scheduler, worker
from tests.helpers.hosts import reason_without_hosts, two_hosts
from tests.helpers.tree import ROOT
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store

pytestmark = pytest.mark.skipif(settings().max_examples < 1000, reason="minutes: make thorough")
TRIALS = 40
BOUND_S = 180.0
SCRIPT = """
import sys
from tests.helpers.campaigns import tasks
from xbarsim.campaigns.dask_scheduler import DaskScheduler
from xbarsim.campaigns.runner import collect
from xbarsim.errors import InputError
store, address, trials = sys.argv[1:]
trusted = DaskScheduler(address=address, trusted=True, wait_for_workers_s=10.0)
try:
    print(collect(tasks(int(trials), 0.05), store, scheduler=trusted))
except InputError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def hosts():
    """Two hosts and their link."""
    if reason := reason_without_hosts():
        pytest.skip(reason)
    with two_hosts() as made:
        yield made


@contextmanager
def campaign(host, address, store):
    """The process of a campaign on a host; ended if it is not done."""
    command = [*host.before, sys.executable, "-c", SCRIPT, store, address, str(TRIALS)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, cwd=ROOT, **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_rows(store, count, process):
    """Return when so many trials are stored."""
    while not (store.exists() and sum(task.done for task in Store(store).status()) >= count):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def check_made_well(process):
    """It ends well, without a failed trial."""
    out, err = process.communicate(timeout=BOUND_S)
    assert process.returncode == 0 and "failed=0" in out, err


def check_rows(store, folder):
    """They are those of a serial run."""
    collect(tasks(TRIALS), folder / "serial.db")
    assert rows(store).equals(rows(folder / "serial.db"))


def refusal(process):
    """The one line with which it ends, soon enough."""
    _, err = process.communicate(timeout=BOUND_S)
    assert process.returncode == 1 and err.count("\n") == 1, err
    return err


@pytest.mark.parametrize(
    "link", [{"loss": 0.05, "delay_s": 0.01}, {"loss": 0.15}, {"delay_s": 0.05}], ids=str
)
@pytest.mark.parametrize("near_scheduler", [True, False])
def test_a_bad_link_changes_no_row(hosts, tmp_path, link, near_scheduler):
    near, far, wire = hosts
    for name, value in link.items():
        setattr(wire, name, value)
    at = near if near_scheduler else far
    with (
        scheduler(tmp_path, host=at.address, before=at.before) as (address, _),
        worker(address, host=far.address, before=far.before),
        campaign(near, address, tmp_path / "a.db") as process,
    ):
        check_made_well(process)
    assert wire.lost or not wire.loss
    check_rows(tmp_path / "a.db", tmp_path)


@pytest.mark.parametrize("near_scheduler", [True, False])
def test_a_link_that_is_cut_for_a_moment_goes_on(hosts, tmp_path, near_scheduler):
    near, far, wire = hosts
    at, store = near if near_scheduler else far, tmp_path / "a.db"
    with (
        scheduler(tmp_path, host=at.address, before=at.before) as (address, _),
        worker(address, host=far.address, before=far.before),
        campaign(near, address, store) as process,
    ):
        wait_for_rows(store, 20, process)
        wire.cut = True
        threading.Timer(8.0, setattr, (wire, "cut", False)).start()
        check_made_well(process)
    assert wire.lost
    check_rows(store, tmp_path)


def test_a_link_that_is_cut_is_said_and_the_next_run_goes_on(hosts, tmp_path):
    near, far, wire = hosts
    store = tmp_path / "a.db"
    with (
        scheduler(tmp_path, host=far.address, before=far.before) as (address, _),
        worker(address, host=far.address, before=far.before),
    ):
        with campaign(near, address, store) as process:
            wait_for_rows(store, 20, process)
            wire.cut = True
            assert f"a lost one to {address}; see whether it still runs" in refusal(process)
        assert 20 <= len(rows(store)) < 2 * TRIALS
        wire.cut = False
        with campaign(near, address, store) as process:
            check_made_well(process)
    check_rows(store, tmp_path)


def test_trials_of_a_host_that_is_taken_away_are_made_by_the_others(hosts, tmp_path):
    near, far, wire = hosts
    store = tmp_path / "a.db"
    with (
        scheduler(tmp_path, host=near.address, before=near.before) as (address, _),
        worker(address, host=near.address, before=near.before),
        worker(address, host=far.address, before=far.before) as lost,
        campaign(near, address, store) as process,
    ):
        wait_for_rows(store, 40, process)
        wire.cut = True  # nobody hears of its end
        lost.kill()
        check_made_well(process)
    check_rows(store, tmp_path)


def test_the_only_host_with_workers_is_missed_and_another_goes_on(hosts, tmp_path):
    near, far, wire = hosts
    store = tmp_path / "a.db"
    with scheduler(tmp_path, host=near.address, before=near.before) as (address, _):
        with (
            worker(address, host=far.address, before=far.before) as lost,
            campaign(near, address, store) as process,
        ):
            wait_for_rows(store, 20, process)
            wire.cut = True
            lost.kill()
            assert f"expected at least one worker within 10 s, got none at {address}" in refusal(process)
        wire.cut = False
        with worker(address, host=far.address, before=far.before), campaign(near, address, store) as process:
            check_made_well(process)
    check_rows(store, tmp_path)
