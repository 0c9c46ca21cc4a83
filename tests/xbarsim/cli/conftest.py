"""Every command runs in a folder of its own."""

import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def board(finn_data, monkeypatch):
    """Options for a random board, its images being the data set."""
    monkeypatch.setenv("XBARSIM_DATA", str(finn_data))
    return ("--network", finn_data / "cnvW1A1", "--accelerator", "finn", "--data", "cifar10")
