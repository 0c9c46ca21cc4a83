"""What a training is shown: arrays, several inputs, data sets and loaders; nonsense gets one line."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from xbarsim.data import Dataset
from xbarsim.errors import InputError
from xbarsim.training.batches import loader_of, split_batch
from xbarsim.training.loop import accuracy, fit, initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
CLASSES = (X[:, 0] > 0).astype(np.int64)
RECIPE = Recipe(epochs=12, batch_size=10, learning_rate=0.05)
PAIRS = TensorDataset(torch.from_numpy(X), torch.from_numpy(CLASSES))


def linear():
    return initialise(lambda: nn.Linear(4, 2), 0)


class Named(nn.Module):
    """Two inputs; the logits are behind something else."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x, shift):
        hidden = self.layer(x + shift)
        return {"hidden": hidden * 0, "logits": hidden}


class Rows(torch.utils.data.Dataset):
    """Dicts, as data sets of texts have them."""

    def __len__(self):
        return len(X)

    def __getitem__(self, place):
        return {"x": X[place], "shift": np.zeros(4, np.float32), "labels": CLASSES[place]}


class Stream(IterableDataset):
    def __iter__(self):
        yield from zip(X, CLASSES, strict=True)


def learned(module, *data, right=0.85, **options):
    history = fit(module, *data, recipe=RECIPE, seed=0, **options)
    assert history[-1].loss < history[0].loss
    hits, shots = accuracy(module, *data)
    assert shots == len(X) and hits > right * shots


@pytest.mark.parametrize(
    "data",
    [
        lambda: (X, CLASSES),
        lambda: (PAIRS,),
        lambda: (DataLoader(PAIRS, batch_size=7, shuffle=True),),
        lambda: (DataLoader(Stream(), batch_size=8),),
        lambda: (Dataset.of(X, CLASSES),),
    ],
)
def test_one_input_from_anywhere(data):
    learned(linear(), *data())


@pytest.mark.parametrize(
    "data",
    [
        lambda: ((X, X * 0), CLASSES),
        lambda: ({"shift": X * 0, "x": X}, CLASSES),
        lambda: (Rows(),),
        lambda: (TensorDataset(*map(torch.from_numpy, (X, X * 0, CLASSES))),),
    ],
)
def test_several_inputs_and_outputs_from_anywhere(data):
    learned(initialise(Named, 0), *data())


def test_a_loaders_order_hangs_on_the_seed_and_not_on_what_ran_before(tmp_path):
    found = []
    for seed, epochs in ((1, (3,)), (1, (1, 3)), (2, (3,))):
        torch.manual_seed(len(found))
        module, kept = linear(), tmp_path / f"state{len(found)}"
        for stop in epochs:
            loader = DataLoader(PAIRS, batch_size=7, shuffle=True)
            if stop < 3:
                with pytest.raises(KeyboardInterrupt):
                    fit(module, loader, recipe=Recipe(epochs=3), seed=seed, resume=kept, on_epoch=stopped)
            else:
                fit(module, loader, recipe=Recipe(epochs=3), seed=seed, resume=kept)
        found.append(module.weight.detach().clone())
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def stopped(history):
    raise KeyboardInterrupt


def test_regression_takes_a_loss_of_ones_own():
    targets = X @ np.array([[1.0], [2.0], [0.0], [-1.0]], np.float32)
    module = initialise(lambda: nn.Linear(4, 1), 0)
    recipe = Recipe(epochs=60, learning_rate=0.1)
    history = fit(module, X, targets.astype(np.float64), recipe, seed=0, loss=F.mse_loss)
    assert history[-1].loss < 0.01 * history[0].loss
    with pytest.raises(InputError, match="labels: expected integers, got floating-point"):
        accuracy(module, X, targets)


def test_a_loss_gets_all_that_a_module_gives():
    def both(outputs, targets):
        more = (outputs["hidden"][:, 0] * targets["b"]).mean()
        return F.cross_entropy(outputs["logits"], targets["a"]) + more

    fit(initialise(Named, 0), (X, X), {"a": CLASSES, "b": X[:, 0]}, RECIPE, seed=0, loss=both)


def test_pixels_have_classes():
    images = RNG.normal(size=(20, 3, 6, 5)).astype(np.float32)
    classes = (images[:, 1] > 0).astype(np.int64)
    classes[:, 0] = -100
    module = initialise(lambda: nn.Conv2d(3, 2, 1), 0)
    fit(module, images, classes, Recipe(epochs=30, batch_size=5, learning_rate=0.05), seed=0)
    hits, shots = accuracy(module, images, classes)
    assert shots == 20 * 5 * 5 and hits > 0.9 * shots


def test_tokens_have_the_next_ones():
    tokens = (np.arange(9) + RNG.integers(0, 5, (30, 1))) % 5
    module = initialise(lambda: nn.Sequential(nn.Embedding(5, 8), nn.Linear(8, 5)), 0)
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    fit(module, inputs, targets, Recipe(epochs=40, batch_size=10, learning_rate=0.05), seed=0)
    assert accuracy(module, inputs, targets) == (240, 240)


class Adds(TrainingMethod):
    def extra_data(self):
        return torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64)


BYTES = TensorDataset(torch.zeros(4, 4, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
COSINE = Recipe(epochs=1, schedule="cosine")
REFUSED = [
    ((X,), {}, "labels for the loss 'cross-entropy': expected a target for every input, got none"),
    ((X, X[:, 0]), {}, "expected integers, got floating-point numbers; for numbers hand in a loss"),
    ((PAIRS, CLASSES), {}, "labels: expected none beside a data set or loader"),
    (((X, X[:3]), CLASSES), {}, "inputs: expected as many of every input, at least one, got 3 and 60"),
    ((X, CLASSES), {"loss": lambda o, t: o}, "loss: expected a function that gives a scalar tensor"),
    ((X, CLASSES), {"loss": lambda o, t: 1.0}, "loss: expected a function that gives a scalar tensor.*float"),
    ((X, X), {"loss": F.cross_entropy}, "images and labels: expected ones that fit the module"),
    ((X, X[:9]), {"loss": F.mse_loss}, "labels: expected 60 of them, as many as inputs, got 9"),
    ((BYTES,), {}, "inputs of the loader: expected floating-point numbers, got torch.uint8"),
    ((TensorDataset(torch.zeros(4, 4)),), {}, "batch of the loader: expected pairs"),
    ((DataLoader([], batch_size=2),), {}, "loader: expected at least one batch, got none"),
    ((DataLoader([(1.0, "a")], collate_fn=lambda b: b[0]),), {}, "batch of the loader: expected tensors"),
    ((DataLoader([1], collate_fn=lambda b: 1 / 0),), {}, "loader: expected batches of tensors.*ZeroDivision"),
    ((DataLoader(Stream()),), {"recipe": COSINE}, "Recipe.schedule: expected 'constant' for a loader"),
    ((PAIRS,), {"methods": [Adds()]}, "methods: expected none that add data to a loader's"),
    (((X, X), CLASSES), {"methods": [Adds()]}, "methods: expected none that add data to several inputs"),
    ((PAIRS,), {"recipe": Recipe(epochs=1, augment="flip")}, "augment: expected images"),
    ((X, np.full((60, 2), -107)), {}, "expected numbers in -100"),
    ((X, np.full((60, 2), -99)), {}, "expected numbers from 0, or -100, got -99"),
    ((X, CLASSES), {"recipe": None}, "recipe: expected a Recipe, got none"),
]


@pytest.mark.parametrize(("data", "options", "words"), REFUSED)
def test_what_does_not_fit_gets_one_line(data, options, words):
    settings = {"recipe": Recipe(epochs=1)} | options
    with pytest.raises(InputError, match=words) as error:
        fit(linear(), *data, seed=0, **settings)
    assert "\n" not in str(error.value)


def test_arrays_are_no_loaders():
    for arrays in (X, [X], (X,), {"x": X}, torch.from_numpy(X)):
        assert loader_of(arrays, 2, shuffle=False) is None


def test_batches_are_split():
    inputs, targets = split_batch([X, X * 2, CLASSES])
    assert isinstance(inputs, tuple) and len(inputs) == 2 and targets.dtype == torch.int64
    assert list(split_batch({"x": X, "label": CLASSES})[0]) == ["x"]
