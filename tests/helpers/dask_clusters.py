"""Dask clusters beside the tests, as users start them: a scheduler and workers in processes of their own."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

from tests.helpers.tree import ROOT


@contextmanager
def running(*words, before=(), path=ROOT):
    """A command of Dask, 'scheduler' or 'worker' with its options, that is killed at the end.

    It begins with the words `before`, and finds modules in the folder `path`.
    """
    name, *options = map(str, words)
    command = [*before, sys.executable, "-m", f"distributed.cli.dask_{name}", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = {**os.environ, "PYTHONPATH": str(path)}
    process = subprocess.Popen(command, env=environment, cwd=path, start_new_session=True, **quiet)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def scheduler(folder, *options, host="127.0.0.1", before=()):
    """A scheduler: its address and its process."""
    file = folder / "scheduler.json"
    places = ("--host", host, "--port", "0", "--dashboard-address", f"{host}:0", "--scheduler-file", file)
    with running("scheduler", *places, *options, before=before) as process:
        while not (file.exists() and file.read_text().strip().endswith("}")):
            assert process.poll() is None
            time.sleep(0.05)
        yield json.loads(file.read_text())["address"], process
    file.unlink()


def worker(address, *options, host="127.0.0.1", **how):
    """A worker without a nanny, as a context."""
    quick = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0", "--host", host)
    return running("worker", address, *quick, *options, **how)
