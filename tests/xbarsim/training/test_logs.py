"""Logs of trainings: tables without gaps, TensorBoard where it is installed."""

import builtins
import csv

import pytest

from tests.helpers.trainings import data, plain, recipe, stop_at
from xbarsim.errors import InputError
from xbarsim.training.logs import logs_to, tensorboard_log
from xbarsim.training.loop import fit, initialise


def test_the_log_of_a_resumed_training_has_no_gaps(tmp_path):
    path, table = tmp_path / "training.safetensors", tmp_path / "logs" / "epochs.csv"
    seen, write = [], logs_to(table, None)

    def log(history):
        write(history)
        seen.append(history[-1].epoch)

    for stop in (7, 15, None):
        settings = {} if stop is None else {"on_batch": stop_at(stop)}
        try:
            fit(initialise(plain, 0), *data(), recipe(), seed=3, resume=path, on_epoch=log, **settings)
        except KeyboardInterrupt:
            table.unlink()  # even a lost log comes back whole
    with table.open() as file:
        rows = list(csv.DictReader(file))
    whole = fit(initialise(plain, 0), *data(), recipe(), seed=3)
    assert [int(row["epoch"]) for row in rows] == seen == [1, 2, 3, 4, 5]
    assert [float(row["loss"]) for row in rows] == [epoch.loss for epoch in whole]
    assert [float(row["learning_rate"]) for row in rows] == [epoch.learning_rate for epoch in whole]
    assert all(float(row["seconds"]) > 0 for row in rows)


def test_tensorboard_that_is_not_installed_is_named(tmp_path, monkeypatch):
    load = builtins.__import__

    def without(name, *args, **options):
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            raise ImportError(f"No module named {name!r}")
        return load(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"TensorBoard, got it is not installed; install it with pip"):
        tensorboard_log(tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []
