"""Shared fixtures: the digits network on a healthy chip, and data sets that need files."""

import os
from pathlib import Path

import numba
import pytest
import torch
from hypothesis import settings

from networks.catalogue import network
from networks.checkpoints import save_checkpoint
from networks.datasets import load_dataset
from xbarsim.registry import accelerators, detectors, fault_models, repairs
from xbarsim.subject import Subject
from xbarsim.training.loop import fit, initialise

# the networks of the tests are small: two threads that wait for each other cost more than they give
numba.get_num_threads()  # starts numba's threads, which sets the number of torch's too
torch.set_num_threads(1)
# threads that wait give their processor away: to workers of xdist, and to programs that tests start
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # the other workers have the other processors
    numba.set_num_threads(1)

# randomised tests without a number of their own: a few in the suite, `--hypothesis-profile thorough` for many
settings.register_profile("suite", max_examples=60, deadline=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile("suite")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let every process have whole files, as `--dist loadfile` says, and single snippets of the documents."""
    if config.getvalue("dist") != "loadfile":
        return None
    from tests.helpers.scheduling import FilesAndSnippets  # where xdist is not installed, nobody asks

    return FilesAndSnippets(config, log)


@pytest.fixture(autouse=True)
def names_of_the_test():
    """What a test registers, as plug-ins do, is forgotten after it."""
    registries = accelerators, detectors, fault_models, repairs
    before = [dict(registry._added) for registry in registries]
    yield
    for registry, added in zip(registries, before, strict=True):
        registry._added.clear()
        registry._added.update(added)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """Solved wire networks of the tests stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBARSIM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def bench():
    """The digits network, trained with seed 1, on an ISAAC chip."""
    entry = network("digits-mlp")
    train, test = load_dataset("digits", "train"), load_dataset("digits", "test")
    module = initialise(entry.build, 1)
    fit(module, train.images, train.labels, entry.recipe, seed=1)
    return Subject(
        module,
        "isaac",
        test=test,
        train=train,
        name=entry.name,
        epsilon=entry.epsilon,
        passes=entry.retrain_epochs,
    )


@pytest.fixture(scope="session")
def digits_weights(bench, tmp_path_factory):
    """A checkpoint of that network."""
    return save_checkpoint(tmp_path_factory.mktemp("weights") / "digits.safetensors", bench.module, {})


@pytest.fixture(scope="session")
def data_folder():
    """The folder with MNIST and the others, or a skip that says why."""
    folder = os.environ.get("XBARSIM_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("XBARSIM_DATA does not name a folder with the data sets")
    return Path(folder)
