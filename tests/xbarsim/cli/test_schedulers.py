"""Which Dask scheduler a command line names, and the one line for options that do not fit."""

import pytest

from tests.helpers.certificates import certificates
from tests.helpers.program import refused, run_well
from xbarsim.cli.schedulers import scheduler

NONE = {"trust": False, "ca_file": None, "cert": None, "key": None, "wait_s": None}


def test_options_become_fields(tmp_path):
    folder = certificates(tmp_path / "own")
    files = {"ca_file": folder / "ca.pem", "cert": folder / "cert.pem", "key": folder / "key.pem"}
    found = scheduler("tls://192.0.2.1:8786", **NONE | files | {"wait_s": 5.0})
    assert (found.address, found.trusted, found.wait_for_workers_s) == ("tls://192.0.2.1:8786", False, 5.0)
    assert (found.tls_ca_file, found.tls_cert, found.tls_key) == tuple(files.values())
    assert scheduler("tcp://192.0.2.1:8786", **NONE | {"trust": True}).trusted
    assert scheduler("local", **NONE).wait_for_workers_s == 60.0
    assert scheduler(None, **NONE) is None


@pytest.mark.parametrize("command", [("campaign", "run", "none.toml"), ("study", "fat-table1")])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--scheduler", "tcp://192.0.2.1:8786"],
            "--trust-scheduler: expected a scheduler on this machine, or with TLS, since one can run code as "
            "you, got tcp://192.0.2.1:8786; ",
        ),
        (
            ["--scheduler", "elsewhere"],
            "--scheduler: expected 'local', 'tcp://HOST:PORT' or 'tls://HOST:PORT', ",
        ),
        (["--scheduler", "tls://a:1", "--tls-cert", "none.pem"], "--tls-cert: expected a PEM file, got none"),
        (["--scheduler", "local", "--tls-key", "a.pem"], "--tls-key: expected none without tls://, got one"),
        (["--scheduler", "local", "--wait-for-workers", "0"], "--wait-for-workers: expected a finite"),
        (["--trust-scheduler"], "--trust-scheduler: expected none without --scheduler, got True"),
        (["--wait-for-workers", "3"], "--wait-for-workers: expected none without --scheduler, got 3.0"),
    ],
)
def test_options_that_do_not_fit_are_one_line(capsys, command, options, words):
    assert words in refused(capsys, *command, *options)


def test_the_help_says_what_a_scheduler_can_do(capsys):
    words = " ".join(run_well(capsys, "campaign", "run", "--help").split())
    assert "Whoever answers there can run code as you: see docs/security.md" in words
