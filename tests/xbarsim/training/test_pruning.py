"""Pruning: exact counts, zeros that stay, ADMM that gets there, trainings that go on when stopped."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from accel_models.reram.config import accelerator
from networks.datasets import load_dataset
from xbarsim.errors import InputError
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.torch_bridge.quantized import QuantLinear
from xbarsim.training.loop import accuracy, fit, initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.pruning import AdmmPruning, KeepZeros, apply_masks, magnitude_masks, sparsity_of
from xbarsim.training.recipe import Recipe
from xbarsim.training.stochastic import StuckCellTraining

OPTIMIZERS = {"adam": 3e-3, "sgd": 0.02}


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits", "train"), load_dataset("digits", "test")


@pytest.fixture(scope="module")
def trained(digits):
    """A dense network; tests train copies of it."""
    train, _ = digits
    module = initialise(small, 0)
    recipe = Recipe(epochs=15, batch_size=32, learning_rate=3e-3)
    fit(module, train.images, train.labels, recipe, seed=0)
    return module


def small():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10, bias=False)
    )


def recipe_of(optimizer, epochs, **settings):
    rate = OPTIMIZERS[optimizer]
    return Recipe(epochs=epochs, batch_size=32, learning_rate=rate, optimizer=optimizer, **settings)


def train_on(module, data, recipe, methods, images=None, **settings):
    return fit(
        module, data.images[:images], data.labels[:images], recipe, seed=3, methods=methods, **settings
    )


def stuck_cells(gradient="straight"):
    return StuckCellTraining(StuckCells(rate=0.02), accelerator("isaac").array, gradient=gradient)


def naive_mask(weights, sparsity):
    """The definition: sort the places by magnitude, then by position, and leave out the first ones."""
    flat = weights.flatten().tolist()
    order = sorted(range(len(flat)), key=lambda i: (abs(flat[i]), i))
    out = set(order[: round(sparsity * len(flat))])
    return torch.tensor([i not in out for i in range(len(flat))]).reshape(weights.shape)


class Disturb(TrainingMethod):
    """Moves every weight after every step."""

    @torch.no_grad()
    def after_step(self, module):
        """Add one."""
        for parameter in module.parameters():
            parameter.add_(1)


@pytest.mark.parametrize("sparsity", [0, 0.1, 0.3, 0.5, 0.7, 0.99])
def test_every_layer_loses_exactly_its_share_of_smallest_weights(sparsity):
    module = nn.Sequential(
        nn.Conv1d(2, 3, 2), nn.Conv2d(2, 5, 3), nn.ConvTranspose2d(1, 2, 2), nn.Linear(7, 3)
    )
    with torch.no_grad():
        for parameter in module.parameters():  # many ties
            parameter.copy_(torch.randint(-3, 4, parameter.shape, generator=torch.Generator().manual_seed(1)))
    weight = module.get_parameter("1.weight")  # laid out as `fit` does
    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    before = copy.deepcopy(module.state_dict())
    masks = magnitude_masks(module, sparsity)
    assert list(masks) == ["0.weight", "1.weight", "3.weight"]
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    for name, mask in masks.items():
        assert mask.dtype == torch.bool
        assert int((~mask).sum()) == round(sparsity * mask.numel())
        assert torch.equal(mask, naive_mask(before[name], sparsity))
    apply_masks(module, masks)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name] * masks[name] if name in masks else before[name])


def test_counts_hold_without_ties(trained):
    module = copy.deepcopy(trained)
    apply_masks(module, magnitude_masks(module, 0.7))
    zeros = [int((module[i].weight == 0).sum()) for i in (1, 3)]
    assert zeros == [round(0.7 * 2048), round(0.7 * 320)]
    assert sparsity_of(module) == sum(zeros) / 2368


def test_sparsity_counts_weights_that_layers_share_once():
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    module[1].weight = module[0].weight
    nn.init.zeros_(module.get_parameter("0.weight"))
    assert list(magnitude_masks(module, 0.5)) == ["0.weight", "2.weight"]
    assert sparsity_of(module) == 16 / 24


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "others",
    [
        lambda keep: [keep],
        lambda keep: [keep, stuck_cells()],
        lambda keep: [stuck_cells(), keep],
        lambda keep: [stuck_cells("masked"), keep],
        lambda keep: [AdmmPruning(0.8), keep],
        lambda keep: [keep, AdmmPruning(0.8)],
        lambda keep: [Disturb(), keep],
    ],
    ids=["alone", "before-stuck", "behind-stuck", "masked", "behind-admm", "before-admm", "disturbed"],
)
def test_zeros_stay_zero_and_the_others_move(digits, optimizer, others):
    train, _ = digits
    module = initialise(convolutional, 0)
    apply_masks(module, magnitude_masks(module, 0.6))
    before = copy.deepcopy(module.state_dict())
    seen = []
    train_on(
        module,
        train,
        recipe_of(optimizer, 2, weight_decay=1e-3),
        others(KeepZeros()),
        images=200,
        on_batch=lambda *_: seen.append(sparsity_of(module)),
    )
    assert set(seen) == {sparsity_of(module)}
    for name in ("0.weight", "4.weight"):
        after = module.get_parameter(name)
        assert (after[before[name] == 0] == 0).all()
        assert (after[before[name] != 0] != before[name][before[name] != 0]).float().mean() > 0.9


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_optimizer_gathers_nothing_at_zeros(digits, optimizer):
    """So that a mask that is lifted later starts from rest."""
    train, _ = digits
    module = initialise(small, 0)
    masks = magnitude_masks(module, 0.6)
    method, steps = KeepZeros(masks), recipe_of(optimizer, 1).make_optimizer(module)
    rng = np.random.default_rng(0)
    method.before_epoch(module, 0, rng)
    for _ in range(3):
        steps.zero_grad()
        nn.functional.cross_entropy(
            module(torch.as_tensor(train.images)), torch.as_tensor(train.labels)
        ).backward()
        method.after_backward(module)
        steps.step()
    for name, mask in masks.items():
        weight = module.get_parameter(name)
        assert (weight[~mask] == 0).all()
        for tensor in steps.state[weight].values():
            assert tensor.ndim == 0 or (tensor[~mask] == 0).all()


def test_masks_prune_at_the_first_epoch_and_stay_the_callers(digits, trained):
    train, _ = digits
    module = copy.deepcopy(trained)
    masks = magnitude_masks(module, 0.5)
    method = KeepZeros(masks)
    masks["1.weight"].fill_(True)
    train_on(module, train, recipe_of("adam", 1), [method], images=64)
    assert sparsity_of(module) == 0.5


def test_zeros_are_found_anew_by_every_training(digits, trained):
    train, _ = digits
    method = KeepZeros()
    for sparsity in (0.5, 0.25):
        module = copy.deepcopy(trained)
        apply_masks(module, magnitude_masks(module, sparsity))
        train_on(module, train, recipe_of("adam", 1), [method], images=64)
        assert sparsity_of(module) == sparsity


def test_retraining_wins_accuracy_back_at_the_same_sparsity(digits, trained):
    train, test = digits
    module = copy.deepcopy(trained)
    apply_masks(module, magnitude_masks(module, 0.8))
    before, _ = accuracy(module, test.images, test.labels)
    train_on(module, train, recipe_of("adam", 3), [KeepZeros()])
    after, shots = accuracy(module, test.images, test.labels)
    assert after > before + 0.1 * shots


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_admm_drives_weights_to_where_pruning_costs_little(digits, trained, optimizer):
    train, test = digits
    one_shot, module = copy.deepcopy(trained), copy.deepcopy(trained)
    apply_masks(one_shot, magnitude_masks(one_shot, 0.7))
    method, distances = AdmmPruning(0.7), []
    train_on(
        module,
        train,
        recipe_of(optimizer, 10),
        [method],
        on_epoch=lambda _: distances.append(method.distance(module)),
    )
    assert distances[-1] < 0.5 * distances[0]
    assert sparsity_of(module) == 0
    dense, _ = accuracy(module, test.images, test.labels)
    masks = method.prune(module)
    sparse, shots = accuracy(module, test.images, test.labels)
    assert sparse >= accuracy(one_shot, test.images, test.labels)[0] + 0.1 * shots
    assert sparse >= dense - 0.03 * shots
    assert sparsity_of(module) == sparsity_of(one_shot)
    assert masks.keys() == {"1.weight", "3.weight"}


def test_admm_is_the_algorithm(trained):
    """Three epochs of two steps each on a loss of zero, against the equations in numpy."""
    module, rho, sparsity = copy.deepcopy(trained).double(), 0.3, 0.5
    method, rng = AdmmPruning(sparsity, rho=rho), np.random.default_rng(0)
    weight = module.get_parameter("3.weight")
    w = weight.detach().numpy().copy()
    u = np.zeros_like(w)
    for epoch in range(3):
        total = w + u
        z = np.where(naive_mask(torch.from_numpy(total), sparsity).numpy(), total, 0)
        if epoch:
            u = u + w - z
        method.before_epoch(module, epoch, rng)
        for _ in range(2):
            w = w - 0.5 * rho * (w - z + u)
            weight.grad = torch.zeros_like(weight)
            method.after_backward(module)
            with torch.no_grad():
                weight -= 0.5 * weight.grad
            method.after_step(module)
        np.testing.assert_allclose(weight.detach().numpy(), w, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("make", [lambda: AdmmPruning(0.7), KeepZeros], ids=["admm", "zeros"])
def test_the_place_beside_stuck_cells_makes_no_difference(digits, make):
    """The pull comes from the true weights, although others are in their place at the time."""
    train, _ = digits
    found = []
    for before in (True, False):
        module = initialise(small, 0)
        apply_masks(module, magnitude_masks(module, 0.3))
        method = make()
        methods = [method, stuck_cells()] if before else [stuck_cells(), method]
        train_on(module, train, recipe_of("sgd", 2), methods, images=200)
        found.append(module.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


RESUMED: dict[str, Callable[[], list[TrainingMethod]]] = {
    "zeros": lambda: [KeepZeros()],
    "masks": lambda: [KeepZeros(magnitude_masks(initialise(small, 0), 0.6))],
    "admm": lambda: [AdmmPruning(0.6)],
    "all": lambda: [AdmmPruning(0.6), stuck_cells(), KeepZeros()],
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("methods", RESUMED)
def test_a_killed_training_goes_on_to_the_same_weights(digits, tmp_path, methods, optimizer):
    train, _ = digits

    def module():
        built = initialise(small, 0)
        apply_masks(built, magnitude_masks(built, 0.3))
        return built

    def kill(done, total, loss):
        if done > 2.5 * total / 4:
            raise KeyboardInterrupt

    recipe, settings = recipe_of(optimizer, 4), {"images": 200}
    whole, killed, resumed = module(), module(), module()
    used = RESUMED[methods]()
    train_on(whole, train, recipe, used, **settings)
    path = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train_on(killed, train, recipe, RESUMED[methods](), resume=path, on_batch=kill, **settings)
    assert not torch.equal(killed[1].weight, whole[1].weight)
    with torch.no_grad():  # what was zero at the start is for the file to say
        resumed[1].weight.fill_(1)
    again = RESUMED[methods]()
    assert len(train_on(resumed, train, recipe, again, resume=path, **settings)) == 4
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name])
    for one, other in zip(used, again, strict=True):
        assert one.state().keys() == other.state().keys()
        assert all(torch.equal(tensor, other.state()[name]) for name, tensor in one.state().items())


@pytest.mark.parametrize("failure", ["batch", "loss"])
def test_a_failed_training_leaves_the_dense_weights_of_its_last_step(digits, failure):
    train, _ = digits
    module, last = initialise(small, 0), {}
    images = train.images[:64].copy()
    if failure == "loss":
        images[40] = np.inf

    def note(done, total, loss):
        last.update(copy.deepcopy(module.state_dict()))
        if failure == "batch":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt if failure == "batch" else InputError):
        fit(
            module,
            images,
            train.labels[:64],
            recipe_of("sgd", 1),
            seed=1,
            methods=[AdmmPruning(0.7), stuck_cells()],
            on_batch=note,
        )
    last = last or initialise(small, 0).state_dict()  # the first batch failed
    assert all(torch.equal(tensor, last[name]) for name, tensor in module.state_dict().items())
    assert sparsity_of(module) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda: AdmmPruning(0.6), lambda: AdmmPruning(0.7)),
        (lambda: AdmmPruning(0.6), lambda: AdmmPruning(0.6, rho=0.2)),
        (KeepZeros, lambda: KeepZeros(magnitude_masks(small(), 0.5))),
    ],
    ids=["sparsity", "rho", "masks"],
)
def test_a_training_does_not_go_on_with_other_settings(digits, tmp_path, first, second):
    train, _ = digits
    path = tmp_path / "training.safetensors"
    train_on(small(), train, recipe_of("adam", 1), [first()], images=32, resume=path)
    with pytest.raises(InputError, match="goes on"):
        train_on(small(), train, recipe_of("adam", 1), [second()], images=32, resume=path)


@pytest.mark.parametrize("sparsity", [-0.1, 1, 1.0, 1.5, 70, float("nan"), "0.5", None, True])
def test_sparsities_out_of_range_are_refused(sparsity):
    with pytest.raises(InputError, match="sparsity"):
        magnitude_masks(small(), sparsity)
    with pytest.raises(InputError, match="sparsity"):
        AdmmPruning(sparsity)


@pytest.mark.parametrize("rho", [0, -1, float("inf"), float("nan"), "1"])
def test_a_rho_that_does_not_pull_is_refused(rho):
    with pytest.raises(InputError, match="rho"):
        AdmmPruning(0.5, rho=rho)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.ReLU()),
        nn.LazyLinear(3),
        parametrizations.weight_norm(nn.Linear(3, 2)),
        nn.Sequential(QuantLinear(4, 2, weight_bits=1)),
    ],
    ids=["no-layer", "lazy", "parametrized", "one-bit"],
)
def test_modules_without_weights_that_can_be_zero_are_refused(module):
    with pytest.raises(InputError):
        magnitude_masks(module, 0.5)
    with pytest.raises(InputError):
        AdmmPruning(0.5).before_epoch(module, 0, np.random.default_rng(0))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(wrong):
    module = small()
    with torch.no_grad():
        module[1].weight[0, 0] = wrong
    with pytest.raises(InputError, match=r"1\.weight"):
        magnitude_masks(module, 0.5)


@pytest.mark.parametrize(
    "masks",
    [
        {"0.weight": torch.ones(32, 64, dtype=torch.bool)},
        {"nowhere.weight": torch.ones(32, 64, dtype=torch.bool)},
        {"1.weight": torch.ones(64, 32, dtype=torch.bool)},
        {"1.weight": torch.ones(32, 64)},
        {"1.weight": np.ones((32, 64), bool)},
    ],
    ids=["no-weight", "no-layer", "shape", "floats", "numpy"],
)
def test_masks_that_fit_nothing_are_refused(masks):
    module = small()
    with pytest.raises(InputError, match="mask"):
        apply_masks(module, masks)
    with pytest.raises(InputError, match="mask"):
        KeepZeros(masks).before_epoch(module, 0, np.random.default_rng(0))


def test_a_distance_needs_a_training():
    with pytest.raises(InputError, match="distance"):
        AdmmPruning(0.5).distance(small())
