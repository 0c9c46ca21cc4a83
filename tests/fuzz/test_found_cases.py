"""Cases that once gave a traceback, a hang, gigabytes or nonsense: each is one line now."""

import gzip
import json
import os
import re
import resource
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from accel_models.finn.folding import fold_for_rate
from networks.catalogue import network
from tests.fuzz.formats import CAMPAIGN, FORMATS, use_store
from tests.fuzz.watch import settled, soon
from tests.helpers.finn_networks import small_network
from tests.helpers.program import refused, run
from tests.helpers.qonnx_files import valid
from xbarsim.data import read_data
from xbarsim.errors import InputError

HUGE = """
name = "huge"
networks = ["digits-mlp"]
accelerators = ["isaac"]
images = 5
trials = 10000000
[[faults]]
name = "stuck-cells"
rate = [{rates}]
"""


@pytest.fixture
def limited():
    """What a case takes above what the process has is bounded, so that one that is not refused fails."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 2 * 10**9, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["faults", "show", "{here}/zeros"], "got a device"),
        (["faults", "show", "{here}/pipe"], "got a pipe"),
        (["simulate", "-a", "{here}/zeros.toml"], "got a device"),
        (["simulate", "-n", "{here}/pipe.onnx", "-a", "finn"], "got a pipe"),
        (["simulate", "--fault-map", "{here}/pipe"], "got a pipe"),
        (["simulate", "--weights", "{here}/pipe.pt"], "got a pipe"),
        (["simulate", "--data", "{here}/pipe.npz"], "a .npz file or a folder"),
        (["campaign", "run", "{here}/pipe.toml"], "got a pipe"),
        (["campaign", "status", "{here}/pipe"], "got no regular file"),
        (["campaign", "merge", "{here}/new.db", "{here}/loop"], "no such file"),
        (["march", "run", "--arrays", "10000000"], "at most 2 GB of memory, got .* faulty cells"),
        (["march", "run", "--arrays", "10000000", "--rate", "0"], "at most 2 GB of memory"),
        (
            [
                "faults",
                "sample",
                "-f",
                "faulty-clusters:clusters=10000,radius=128",
                "--out",
                "{here}/x",
            ],
            "at most 2 GB of memory, got .* faulty cells",
        ),
        (["inspect", "-n", "{here}/\x1b[31mred.onnx", "-a", "finn"], r"\\x1b\[31mred"),
        (["inspect", "-n", "{here}/steering.onnx", "-a", "finn"], r"\\x1b\[31m"),
    ],
)
def test_one_line(tmp_path, capsys, arguments, words):
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "zeros.toml").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for suffix in ("", ".onnx", ".pt", ".npz", ".toml"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
    model = valid()
    model.graph.node[0].op_type = "\x1b[31mQuant\u202e"
    (tmp_path / "steering.onnx").write_bytes(model.SerializeToString())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with soon():
            line = refused(capsys, *(word.format(here=tmp_path) for word in arguments))
    assert re.search(words, line), line


@pytest.mark.usefixtures("limited")
def test_a_small_packed_file_that_is_gigabytes_is_not_unpacked(tmp_path):
    with gzip.open(tmp_path / "t10k-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
        file.write(bytes((0, 0, 8, 3)) + (5 * 10**6).to_bytes(4, "big") + (28).to_bytes(4, "big") * 2)
        for _ in range(120):
            file.write(bytes(10**7))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(bytes((0, 0, 8, 1, 0, 0, 0, 1, 0)))
    assert (tmp_path / "t10k-images-idx3-ubyte.gz").stat().st_size < 10**7
    with pytest.raises(InputError, match="unpacked: expected at most 1 GB"):
        read_data(tmp_path)


@pytest.mark.usefixtures("limited")
def test_a_small_checkpoint_that_is_gigabytes_is_not_unpacked(tmp_path, capsys):
    torch.save(network("digits-mlp").build().state_dict(), tmp_path / "small.pt")
    with (
        zipfile.ZipFile(tmp_path / "small.pt") as good,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb,
    ):
        for member in good.infolist():
            content = good.read(member)
            with bomb.open(member.filename, "w") as file:
                file.write(content)
                if "/data/" in member.filename:
                    for _ in range(60):
                        file.write(bytes(10**7))
    line = refused(capsys, "simulate", "--weights", tmp_path / "bomb.pt")
    assert "unpacked: expected at most 1 GB" in line


@pytest.mark.usefixtures("limited")
def test_many_tasks_of_many_trials_are_planned_in_little_memory(tmp_path, capsys):
    path = tmp_path / "huge.toml"
    path.write_text(HUGE.format(rates=", ".join(f"{n / 1000}" for n in range(59))))
    code, out, err = run(capsys, "campaign", "plan", path)
    assert code == 0, err
    assert "59 tasks, 590,000,000 trials" in " ".join(out.split())
    path.write_text(HUGE.format(rates=", ".join(f"{n / 10**6}" for n in range(300_000))))
    assert "at most 2 GB of memory, got 300,000 combinations" in refused(capsys, "campaign", "plan", path)


@pytest.mark.parametrize("rate", [1e-320, 5e-324, 1e308, float("inf"), float("nan"), 0, -1])
def test_a_rate_that_no_folding_has_is_one_line_or_the_least_folding(rate):
    network = small_network(np.random.default_rng(0))
    if settled(lambda: fold_for_rate(network, rate, 100.0)):
        assert [(m.pe, m.simd) for m in fold_for_rate(network, rate, 100.0).layers] == [(1, 1)] * 4


def test_a_margin_of_almost_nothing_is_one_line(tmp_path, capsys):
    path = tmp_path / "small.toml"
    path.write_text(CAMPAIGN.replace('name = "stuck-cells"', 'name = "single-faults"').replace(
        'rate = [0.0, 0.01]\nmix = "even"', "margin = 1e-300"
    ))  # fmt: skip
    line = refused(capsys, "campaign", "plan", path)
    assert "margin" in line or "single-faults" in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("UPDATE tasks SET description = ?", "[" * 10**5), "campaign's store"),
        (("UPDATE tasks SET facts = ?", '{"a":' * 10**5), "campaign's store"),
        (("UPDATE runs SET versions = ?", "{"), "campaign's store"),
    ],
)
def test_a_store_that_makes_no_sense_is_one_line_everywhere(tmp_path, capsys, change, words):
    path = FORMATS["store"].make(tmp_path)
    raw = sqlite3.connect(path)
    raw.execute(change[0], change[1:])
    raw.commit()
    raw.close()
    for command in (["report", path], ["campaign", "merge", tmp_path / "new.db", path]):
        assert words in refused(capsys, *command)
    with pytest.raises(InputError):
        use_store(path)


def test_a_store_that_forgot_its_runs_is_shown(tmp_path, capsys):
    path = FORMATS["store"].make(tmp_path)
    raw = sqlite3.connect(path)
    raw.execute("DELETE FROM runs")
    raw.commit()
    raw.close()
    for command in (["campaign", "status", path], ["report", path]):
        code, _, err = run(capsys, *command)
        assert code == 0, err


def test_stored_errors_and_names_steer_no_terminal(tmp_path, capsys):
    path = FORMATS["store"].make(tmp_path)
    raw = sqlite3.connect(path)
    raw.execute("UPDATE failures SET trial = 77, error = ?", ("\x1b[31m\u202e" + "e" * 10**6,))
    description = json.loads(raw.execute("SELECT description FROM tasks").fetchone()[0])
    other = json.dumps(description | {"network": "\x1b]0;n"})
    raw.execute("UPDATE tasks SET facts = '{}', description = ? WHERE id = 1", (other,))
    raw.commit()
    raw.close()
    for command in (["campaign", "status", path], ["campaign", "status", path, "--json"]):
        code, out, err = run(capsys, *command)
        assert code == 0 and "\x1b" not in out + err and "\u202e" not in out + err
        assert "\\x1b[31m\\u202e" in out.replace("\\\\", "\\") and len(out) < 50_000


def test_a_training_with_one_flipped_bit_is_refused(tmp_path):
    good = FORMATS["training"].make(tmp_path).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "training.safetensors"
    for place in rng.integers(0, len(good), 40):
        content = bytearray(good)
        content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        with pytest.raises(InputError):
            FORMATS["training"].read(path)


def test_a_training_with_a_deep_history_is_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "training.safetensors"
    save_file({"weight": torch.ones(3)}, path, metadata={"history": "[" * 10**5})
    with pytest.raises(InputError, match="a training's state"):
        FORMATS["training"].read(path)


def test_a_closed_output_is_no_traceback():
    code = "import os; os.close(1); from xbarsim.cli.entry import main; main()"
    command = [sys.executable, "-c", code, "list", "accelerators"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert "Traceback" not in found.stderr and found.returncode in (0, 1, 2)
