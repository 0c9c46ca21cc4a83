import numpy as np
import pytest
import torch
from torch import nn

from xbarsim.errors import InputError
from xbarsim.faults.sampling import mix_presets, sample_trial
from xbarsim.torch_bridge.module import ChipModule
from xbarsim.training.loop import accuracy, fit, initialise
from xbarsim.training.masking import retrain
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


def test_retraining_wins_accuracy_back_on_the_chip_with_its_true_faults(bench):
    fault_map = sample_trial(bench.chip.geometry, 0.03, mix=mix_presets()["even"], seed=1, trial=0)
    chip = bench.chip.inject(fault_map)
    form = bench.chip.config.array.format
    data = bench.train.images, bench.train.labels
    result = retrain(bench.chip.graph, form, chip.training_masks(), *data, epochs=10)
    repaired = chip.update(result.graph)
    healthy, faulty, after = (
        c.run(bench.test.images).hits(bench.test.labels) for c in (bench.chip, chip, repaired)
    )
    assert faulty < healthy - 50
    assert after > healthy - 15


def test_retrained_weights_keep_the_stuck_bits(bench):
    """Eq. 6 of RRAMedy: the bits of stuck cells stay at their stuck values."""
    fault_map = sample_trial(bench.chip.geometry, 0.05, mix=mix_presets()["measured"], seed=2, trial=0)
    masks = bench.chip.inject(fault_map).training_masks()
    form = bench.chip.config.array.format
    data = bench.train.images[:64], bench.train.labels[:64]
    result = retrain(bench.chip.graph, form, masks, *data, epochs=1)
    for layer in result.graph.layers:
        words = form.encode(layer.weights[0])
        assert ((words & masks[layer.name, 0].keep) | masks[layer.name, 0].force == words).all()
    assert any(
        (a.weights != b.weights).any() for a, b in zip(result.start.layers, result.graph.layers, strict=True)
    )


def test_no_epochs_give_the_start(bench):
    fault_map = sample_trial(bench.chip.geometry, 0.05, mix=mix_presets()["even"], seed=2, trial=0)
    masks = bench.chip.inject(fault_map).training_masks()
    form = bench.chip.config.array.format
    result = retrain(bench.chip.graph, form, masks, bench.train.images, bench.train.labels, epochs=0)
    module = ChipModule(bench.chip.graph, form, masks)
    module.project()
    for a, b, c in zip(result.start.layers, result.graph.layers, module.to_graph().layers, strict=True):
        assert (a.weights == b.weights).all()
        assert (a.weights == c.weights).all()


def test_retraining_is_reproducible(bench):
    fault_map = sample_trial(bench.chip.geometry, 0.02, mix=mix_presets()["even"], seed=3, trial=0)
    masks = bench.chip.inject(fault_map).training_masks()
    form = bench.chip.config.array.format
    data = bench.train.images[:300], bench.train.labels[:300]
    first, second = (retrain(bench.chip.graph, form, masks, *data, seed=4) for _ in range(2))
    assert first.losses == second.losses
    for a, b in zip(first.graph.layers, second.graph.layers, strict=True):
        assert (a.weights == b.weights).all()
