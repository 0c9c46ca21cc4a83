"""The training loop: it learns, its seed says all, and nonsense is refused."""

import subprocess
import sys

import numba
import numpy as np
import pytest
import torch
from torch import nn

from networks.lenet import LeNet
from xbarsim.digests import content_digest
from xbarsim.errors import InputError
from xbarsim.training.loop import accuracy, fit, initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe


def small():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def test_training_learns_and_reports_the_mean_loss_of_every_epoch(bench):
    module = initialise(small, 0)
    before, shots = accuracy(module, bench.test.images, bench.test.labels)
    recipe = Recipe(epochs=3, batch_size=32, learning_rate=0.01)
    losses = [e.loss for e in fit(module, bench.train.images, bench.train.labels, recipe, seed=0)]
    after, _ = accuracy(module, bench.test.images, bench.test.labels)
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    assert after > before + 0.5 * shots
    assert not module.training


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_same_seed_gives_the_same_weights(bench, optimizer):
    found = []
    for seed in (1, 1, 2):
        module = initialise(small, 0)
        data = bench.train.images[:200], bench.train.labels[:200]
        recipe = Recipe(epochs=1, batch_size=32, learning_rate=0.01, optimizer=optimizer)
        fit(module, *data, recipe, seed=seed)
        found.append(module[1].weight.detach().numpy().copy())
    assert (found[0] == found[1]).all()
    assert (found[0] != found[2]).any()


def test_initial_weights_hang_on_the_seed_alone_and_leave_the_global_generator():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    a, b, c = (initialise(small, seed)[1].weight for seed in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": -1},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"optimizer": "adagrad"},
        {"schedule": "linear"},
        {"images": np.zeros((0, 1, 8, 8), np.float32)},
        {"labels": np.zeros(3, np.int64)},
        {"learning_rate": 1e38},
        {"images": np.full((100, 1, 8, 8), 3e38, np.float32)},
    ],
)
def test_wrong_settings_and_diverging_training_are_refused(bench, change):
    settings = {
        "images": bench.train.images[:100],
        "labels": bench.train.labels[:100],
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 0.01,
    } | change
    data = settings.pop("images"), settings.pop("labels")
    with pytest.raises(InputError):
        fit(initialise(small, 0), *data, Recipe(**settings), seed=0)


def batch(count=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 1, 8, 8)).astype(np.float32), rng.integers(0, 10, count)


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "nowhere", "mps"])
def test_devices_that_are_not_there_are_refused(device):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("cuda is there")
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("mps is there")
    with pytest.raises(InputError, match="device: expected cpu, or cuda or mps where they are") as error:
        fit(small(), *batch(), Recipe(epochs=1), seed=0, device=device)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("images", "labels"), [(0, 0), (4, 3), (0, 3)])
def test_no_data_is_refused(images, labels):
    with pytest.raises(InputError, match=r"training data.*at least one image"):
        fit(small(), batch()[0][:images], batch()[1][:labels], Recipe(epochs=1), seed=0)


CHILD = """
import torch
from tests.xbarsim.training.test_loop import weights_after
torch.set_num_threads({threads})
print(weights_after({kernel}))
"""


def weights_after(kernel):
    """A digest of trained weights, after the process ran a compiled kernel or before it did."""
    if kernel:
        numba.njit(parallel=True)(lambda n: np.zeros(n) + 1)(10)
    rng = np.random.default_rng(0)
    images, labels = rng.random((96, 1, 28, 28), np.float32), rng.integers(0, 10, 96)
    module = initialise(LeNet, 0)
    fit(module, images, labels, Recipe(epochs=1, batch_size=32), seed=1)
    return content_digest([p.detach().numpy() for p in module.parameters()])


def test_weights_depend_on_neither_threads_nor_what_ran_before():
    found = {
        subprocess.run(
            [sys.executable, "-c", CHILD.format(threads=threads, kernel=kernel)],
            check=True, capture_output=True, text=True,
        ).stdout
        for threads, kernel in ((1, False), (2, False), (1, True))
    }  # fmt: skip
    assert len(found) == 1


def test_the_number_of_threads_is_the_recipes():
    seen = []

    class Look(TrainingMethod):
        def before_batch(self, module, rng):
            seen.append(torch.get_num_threads())

    module, recipe = nn.Linear(2, 2), Recipe(epochs=1, threads=3)
    fit(module, np.zeros((2, 2), np.float32), np.zeros(2, np.int64), recipe, seed=0, methods=[Look()])
    assert seen == [3]
