"""Every long command ends at Ctrl-C and SIGTERM, at any moment: one line, the shell's code, nothing lost."""

import signal
import time
from itertools import product

import numpy as np
import psutil
import pytest
from hypothesis import settings

from tests.helpers.campaigns import workers_of
from tests.helpers.program import begun, run_well, signalled
from tests.helpers.workloads import Chips
from xbarsim.campaigns.exchange import read_frame
from xbarsim.campaigns.store import Row, Store
from xbarsim.campaigns.task import Task

CAMPAIGN = """\
name = "digits"
trials = 100000
images = 40
networks = ["digits-mlp"]
accelerators = ["isaac"]
repairs = ["retrain", "closest-values"]

[[faults]]
name = "stuck-cells"
rate = 0.02
"""
GOES_ON = "; what was done is kept, and the same command goes on"
COMMANDS = {  # with the longest time in seconds until the signal, and what is told
    "simulate": (("simulate", "--chips", 100000), 5, ""),
    "simulate in a store": (("simulate", "--chips", 100000, "--store", "s.db", "-j", 2), 4, GOES_ON),
    "analog": (("simulate", "--fidelity", "analog", "--chips", 10000), 4, ""),
    "parasitic": (("simulate", "--fidelity", "parasitic", "--chips", 10000), 4, ""),
    "detect": (("detect", "--chips", 100000), 5, ""),
    "repair": (("repair", "--chips", 10000, "--store", "r.db"), 5, GOES_ON),
    "train": (("train", "digits-mlp", "--epochs", 10000, "--out", "t.safetensors"), 5, GOES_ON),
    "march run": (("march", "run", "--arrays", 5000), 3, ""),
    "march coverage": (("march", "coverage"), 3, ""),
    "faults": (("faults", "sample", "-f", "stuck-cells:rate=0.3", "--arrays", 4000), 3, ""),
    "campaign": (("campaign", "run", "c.toml"), 5, GOES_ON),
    "campaign with workers": (("campaign", "run", "c.toml", "-j", 2), 5, GOES_ON),
    "campaign on Dask": (("campaign", "run", "c.toml", "--scheduler", "local"), 7, GOES_ON),
    "merge": (("campaign", "merge", "into.db", "many.db"), 1.5, ""),
    "export": (("campaign", "export", "many.db", "many.csv"), 2.5, ""),
    "report": (("report", "many.db"), 2.5, ""),
    "demo": (("demo", "--chips", 1000, "--tested", 10000), 4, ""),
}
SIGNALS = ((signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT,) * 2, (signal.SIGTERM,) * 2)
EVERY = list(product(COMMANDS, SIGNALS))


@pytest.fixture
def inputs(folder):
    """A campaign's description, and a store of many trials."""
    (folder / "c.toml").write_text(CAMPAIGN)
    work = [Task(workload=Chips(rate), trials=10000) for rate in (0.1, 0.2)]
    with Store(folder / "many.db", "write") as store:
        run = store.begin_run("made up")
        for number in store.add(work):
            store.append(
                Row(number, trial, run, 100, trial % 101, 0.1, '{"margin": 0.5}') for trial in range(10000)
            )
    return folder


def moments():
    """Commands, signals, and shares of the command's time: each command once; often in a thorough run."""
    rng = np.random.default_rng()
    if settings().max_examples >= 1000:
        return [(*case, rng.random()) for case in EVERY for _ in range(10)]
    return [(name, SIGNALS[place % len(SIGNALS)], rng.random()) for place, name in enumerate(COMMANDS)]


def test_a_signal_at_any_moment_ends_a_command_with_one_line(inputs):
    for name, numbers, share in moments():
        arguments, most, words = COMMANDS[name]
        program = begun(*arguments)
        time.sleep(0.15 + share * most)  # before, it may not have begun to handle them
        code, err = signalled(program, *numbers, group=share < 0.5)
        about = f"{name}, {numbers} after {share * most:.2f} s: {code}, {err}"
        if (code, err) == (0, ""):  # it was done before
            continue
        assert code == 128 + numbers[0], about
        assert err in (f"xbarsim: stopped{words}\n", "xbarsim: stopped\n"), about
        assert not psutil.pid_exists(program.pid) and not list(inputs.glob(".*"))
    for path in inputs.glob("*.db"):
        with Store(path, "write") as store:  # nobody holds it any more
            assert not store.failures()


@pytest.mark.parametrize(("workers", "number"), [(1, signal.SIGINT), (2, signal.SIGTERM)])
def test_a_stopped_retraining_is_not_stored_as_failed(inputs, workers, number):
    for _ in range(20 if settings().max_examples >= 1000 else 1):
        program = begun("campaign", "run", "c.toml", "-j", workers)
        while not (inputs / "c.db").exists() or not Store(inputs / "c.db").status():
            assert program.poll() is None
            time.sleep(0.1)
        time.sleep(np.random.default_rng().uniform(0, 3))
        children = workers_of(program.pid)
        assert signalled(program, number) == (128 + number, f"xbarsim: stopped{GOES_ON}\n")
        assert not [pid for pid in children if psutil.pid_exists(pid)]
        with Store(inputs / "c.db") as store:
            assert not store.failures()


KILLED = {
    "merge": (("campaign", "merge", "many.out", "many.db"), 2.0),
    "csv": (("campaign", "export", "many.db", "many.csv"), 2.0),
    "parquet": (("campaign", "export", "many.db", "many.parquet"), 2.0),
    "report": (("report", "many.db"), 2.5),
}


def content(path):
    """What a file says: a store's trials, or its bytes."""
    return read_frame(path).to_csv() if path.suffix == ".out" else path.read_bytes()


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_writer_spoils_nothing_and_the_next_leaves_nothing(name, inputs, capsys):
    arguments, most = KILLED[name]
    before = set(inputs.iterdir())
    run_well(capsys, *arguments)
    (made,) = (path for path in set(inputs.iterdir()) - before if path.suffix != ".lock")
    whole = content(made)
    for _ in range(20 if settings().max_examples >= 1000 else 1):
        if name == "merge":
            made.unlink()
        program = begun(*arguments)
        time.sleep(0.3 + np.random.default_rng().random() * most)
        assert signalled(program, signal.SIGKILL)[0] in (-signal.SIGKILL, 0)
        if name == "merge":
            assert not made.exists() or not len(read_frame(made)) or content(made) == whole
        else:
            assert content(made) == whole
    assert begun(*arguments).wait() == 0  # the next process, which clears the folder
    assert content(made) == whole
    assert not [path for path in inputs.iterdir() if path.name.startswith(".")]
