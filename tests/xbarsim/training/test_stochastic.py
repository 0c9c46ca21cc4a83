"""Stochastic fault-tolerant training: weights of a batch are those of a chip, and the true ones come back."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.reram.chip import program
from accel_models.reram.config import accelerator
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.errors import InputError
from xbarsim.faults.kinds import CellGeometry, FaultKind
from xbarsim.faults.masks import CellMasks
from xbarsim.faults.sampling import FaultMix, mix_presets
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.torch_bridge.norms import weighted_layers
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.training.loop import accuracy, fit, initialise
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe
from xbarsim.training.stochastic import StuckCellTraining, _Layer

PRESETS = ("isaac", "isaac-slc", "twos-complement", "differential")
ROWS = 16  # so that a matrix has several row blocks, each with an inversion of its own


def array_of(name):
    return replace(accelerator(name).array, rows=ROWS)


def small():
    """A convolution with a batch norm whose gains have both signs, and two linear layers."""
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10), nn.BatchNorm1d(10),
        nn.ReLU(), nn.Linear(10, 4),
    )  # fmt: skip
    with torch.no_grad():
        for norm in (module[1], module[5]):
            norm.weight.copy_(torch.randn(norm.num_features))
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.2, 3)
    return module.double()


def data(images=24):
    rng = np.random.default_rng(0)
    return rng.normal(size=(images, 3, 6, 6)), rng.integers(0, 4, images)


def recipe(**settings):
    return Recipe(**{"epochs": 1, "batch_size": 8, "learning_rate": 0.01, **settings})


def layers_of(module):
    return [_Layer(layer, norm) for layer, norm in weighted_layers(module)]


def weights_of(module):
    return [layer.weight.detach().clone() for layer, _ in weighted_layers(module)]


def matrix_of(layer, array):
    """(K, M) integers that a chip would store, and their binary places."""
    integers, fraction = layer.integers(array)
    return integers.reshape(len(integers), -1).T.numpy(), fraction


def drawn_masks(size, array, rate, seed, mix="level"):
    return StuckCells(rate=rate, mix=mix_presets()[mix]).draw_masks(
        size, array.format, np.random.default_rng(seed)
    )


def transposed(masks, shape):
    """Masks (size,) on the words of a weight, as masks (K, M) on those of its matrix."""
    parts = (part.reshape(shape[0], -1).T for part in (masks.keep, masks.force, masks.flip))
    return CellMasks(**dict(zip(("keep", "force", "flip"), parts, strict=True)))


def acting_on_a_chip(layer, effective, fraction):
    """The layer's weights from the effective ones of a chip: the folding undone."""
    weight = torch.from_numpy(np.ascontiguousarray(effective.T)).reshape(layer.layer.weight.shape)
    return weight.double() * 2.0**-fraction / layer.gain()


@pytest.mark.parametrize("mix", ["level", "measured"])
@pytest.mark.parametrize("rate", [0, 0.01, 0.2, 1])
@pytest.mark.parametrize("name", PRESETS)
def test_stuck_weights_are_those_of_programmed_cells(name, rate, mix):
    array = array_of(name)
    for seed, layer in enumerate(layers_of(initialise(small, 1))):
        matrix, fraction = matrix_of(layer, array)
        masks = drawn_masks(layer.size, array, rate, seed, mix)
        programmed = program_matrix(matrix, array)
        assert programmed.inversion.any() == array.inverted_storage
        cells = programmed.with_masks(transposed(masks, layer.layer.weight.shape))
        layer.invert(array)
        layer.stick_cells(torch.from_numpy(masks.keep), torch.from_numpy(masks.force), array)
        assert torch.equal(layer.layer.weight, acting_on_a_chip(layer, cells.effective, fraction))


@pytest.mark.parametrize("name", PRESETS)
def test_a_column_stays_inverted_while_its_weights_move(name):
    array = array_of(name)
    for seed, layer in enumerate(layers_of(initialise(small, 1))):
        before = program_matrix(matrix_of(layer, array)[0], array)
        layer.invert(array)
        with torch.no_grad():
            layer.layer.weight.mul_(-1).add_(0.01)
        matrix, fraction = matrix_of(layer, array)
        assert (
            not array.inverted_storage or (program_matrix(matrix, array).inversion != before.inversion).any()
        )
        masks = drawn_masks(layer.size, array, 0.1, seed)
        again = program_matrix(matrix, array, inversion=before.inversion)
        cells = again.with_masks(transposed(masks, layer.layer.weight.shape))
        layer.stick_cells(torch.from_numpy(masks.keep), torch.from_numpy(masks.force), array)
        assert torch.equal(layer.layer.weight, acting_on_a_chip(layer, cells.effective, fraction))


@pytest.mark.parametrize("name", PRESETS)
def test_stuck_weights_are_those_of_the_whole_chip_with_a_fault_map(name):
    """quantize, program, inject: the same integers, the same scales, the same stuck cells."""
    config = replace(accelerator(name), array=array_of(name))
    module = initialise(small, 2).eval()
    graph = quantize(module, data()[0], symmetric=name == "differential")
    chip = program(graph, config)
    model = StuckCells(rate=0.02)
    faulty = chip.inject(model.draw(chip.geometry, np.random.default_rng(3)))
    for layer, node in zip(layers_of(module), graph.layers, strict=True):
        layer.invert(config.array)
        matrix = faulty.matrices[node.name, 0]
        assert node.weight_fraction == matrix_of(layer, config.array)[1]
        keep, force = (
            torch.from_numpy(np.ascontiguousarray(part.T).reshape(-1))
            for part in (matrix.masks.keep, matrix.masks.force)
        )
        layer.stick_cells(keep, force, config.array)
        assert torch.equal(
            layer.layer.weight, acting_on_a_chip(layer, matrix.effective, node.weight_fraction)
        )
        assert 0 < (chip.matrices[node.name, 0].effective != matrix.effective).mean() < 0.5


@pytest.mark.parametrize("name", PRESETS)
def test_healthy_cells_give_the_rounded_weights(name):
    array = array_of(name)
    module = initialise(small, 1)
    before, layers = weights_of(module), layers_of(module)
    method = StuckCellTraining(StuckCells(rate=0), array)
    method.before_epoch(module, 0, np.random.default_rng(0))
    method.before_batch(module, np.random.default_rng(0))
    for layer, true, acting in zip(layers, before, weights_of(module), strict=True):
        with torch.no_grad():
            layer.layer.weight.data = true
        integers, fraction = layer.integers(array)
        assert torch.equal(acting, integers.double() * 2.0**-fraction / layer.gain())
        step = 2.0**-fraction / layer.gain().abs()
        off = (acting - true).abs() / step
        # half a step, or a whole one at the end of the range, which saturates
        assert (off <= torch.where(integers == array.format.high, 1, 0.5 + 1e-9)).all()


def test_layers_of_a_batch_get_the_cells_that_are_drawn_for_them():
    array, module = array_of("isaac"), initialise(small, 1)
    method, twins = StuckCellTraining(StuckCells(rate=0.05), array), layers_of(copy.deepcopy(module))
    method.before_epoch(module, 0, np.random.default_rng(0))
    method.before_batch(module, np.random.default_rng(4))
    sizes = [layer.size for layer in twins]
    masks = StuckCells(rate=0.05).draw_masks(sum(sizes), array.format, np.random.default_rng(4))
    start = 0
    for twin, acting in zip(twins, weights_of(module), strict=True):
        part = slice(start, start + twin.size)
        twin.invert(array)
        twin.stick_cells(torch.from_numpy(masks.keep[part]), torch.from_numpy(masks.force[part]), array)
        assert torch.equal(twin.layer.weight, acting)
        start += twin.size


class Watch(TrainingMethod):
    """Notes the weights before and during every batch, around the method in the middle."""

    def __init__(self):
        self.true, self.acting, self.back = [], [], []

    def before_batch(self, module, rng):
        """First: the true weights."""
        self.true.append(weights_of(module))

    def after_backward(self, module):
        """Last: they are back, the step is not taken."""
        self.back.append(weights_of(module))


class Inside(TrainingMethod):
    """Behind the method in the middle: notes what the weights act as."""

    def __init__(self, watch):
        self.watch = watch

    def before_batch(self, module, rng):
        """Behind the sticking."""
        self.watch.acting.append(weights_of(module))


@pytest.mark.parametrize("gradient", ["straight", "masked"])
@pytest.mark.parametrize("level", ["cell", "weight"])
def test_true_weights_come_back_after_every_batch(level, gradient):
    module, watch = initialise(small, 1), Watch()
    method = StuckCellTraining(StuckCells(rate=0.1), array_of("isaac"), level=level, gradient=gradient)
    fit(module, *data(), recipe(epochs=2), seed=0, methods=[watch, method, Inside(watch)])
    assert len(watch.true) == len(watch.acting) == len(watch.back) == 6
    for true, acting, back in zip(watch.true, watch.acting, watch.back, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(true, back, strict=True))
        assert all(not torch.equal(a, b) for a, b in zip(true, acting, strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(watch.acting[0], watch.acting[1], strict=True))
    after = weights_of(module)
    assert all((a - b).abs().max() < 0.02 for a, b in zip(watch.true[-1], after, strict=True))


class Fails(TrainingMethod):
    """Raises in the middle of a batch, while the weights are away."""

    def __init__(self, batch):
        self.left = batch

    def before_batch(self, module, rng):
        """Count down."""
        self.left -= 1
        if not self.left:
            raise RuntimeError("in a batch")


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("level", ["cell", "weight"])
def test_true_weights_come_back_after_an_exception(level, batch):
    module, watch = initialise(small, 1), Watch()
    method = StuckCellTraining(StuckCells(rate=0.1), array_of("isaac"), level=level)
    with pytest.raises(RuntimeError, match="in a batch"):
        fit(module, *data(), recipe(), seed=0, methods=[watch, method, Inside(watch), Fails(batch)])
    assert all(torch.equal(a, b) for a, b in zip(watch.true[-1], weights_of(module), strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(watch.acting[-1], weights_of(module), strict=True))
    assert not any(part.training for part in module.modules())


@pytest.mark.parametrize("level", ["cell", "weight"])
@pytest.mark.parametrize("gradient", ["straight", "masked"])
def test_gradients_of_stuck_weights_are_zero_only_if_masked(gradient, level):
    array, module = array_of("isaac"), initialise(small, 1)
    # whole weights at zero, where none of them was
    model = StuckCells(rate=0.02) if level == "cell" else StuckCells(rate=0.2, mix=mix_presets()["hrs"])
    method = StuckCellTraining(model, array, gradient=gradient, level=level)
    method.before_epoch(module, 0, np.random.default_rng(0))
    before = weights_of(module)
    method.before_batch(module, np.random.default_rng(4))
    acting = weights_of(module)
    module(torch.from_numpy(data()[0])).square().sum().backward()
    straight = [layer.weight.grad.clone() for layer, _ in weighted_layers(module)]
    method.after_backward(module)
    if level == "cell":
        sizes = [w.numel() for w in before]
        keep = model.draw_masks(sum(sizes), array.format, np.random.default_rng(4)).keep
        stuck = [torch.from_numpy(part != -1) for part in np.split(keep, np.cumsum(sizes)[:-1])]
    else:
        stuck = [(a != b).reshape(-1) for a, b in zip(before, acting, strict=True)]
    for (layer, _), gone, whole in zip(weighted_layers(module), stuck, straight, strict=True):
        gone = gone.reshape(whole.shape)
        assert 0 < gone.sum() < gone.numel()
        assert (whole[gone] != 0).any()
        expected = torch.where(gone, 0.0, whole) if gradient == "masked" else whole
        assert torch.equal(layer.weight.grad, expected)


FORMS = {
    "isaac": WeightFormat(),
    "slc": WeightFormat(cell_bits=1),
    "differential": WeightFormat(encoding="differential"),
    "odd": WeightFormat(weight_bits=5, cell_bits=3),
}


def cells_of(masks, form):
    """(weights, digits): which cells are stuck, and at which level; of each cell all bits or none."""
    shift = np.arange(form.digits) * form.cell_bits
    kept = (masks.keep[:, None] >> shift) & (form.levels - 1)
    assert set(np.unique(kept)) <= {0, form.levels - 1}
    assert (masks.keep >> (form.digits * form.cell_bits) == -1).all()
    assert (masks.force & masks.keep == 0).all() and not masks.flip.any()
    return kept == 0, (masks.force[:, None] >> shift) & (form.levels - 1)


def within_4_sigma(hits, shots, share):
    return abs(hits - shots * share) <= 4 * np.sqrt(shots * share * (1 - share))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_cells_are_stuck_at_the_rate_and_in_the_shares_of_the_mix(form):
    rate, weights = 0.1, 30_000
    model = StuckCells(rate=rate, mix=FaultMix(stuck_hrs=1, stuck_lrs=2, stuck_at=1))
    stuck, level = cells_of(model.draw_masks(weights, form, np.random.default_rng(1)), form)
    assert within_4_sigma(int(stuck.sum()), stuck.size, rate)
    for digit in range(form.digits):
        assert within_4_sigma(int(stuck[:, digit].sum()), weights, rate)
    even = 0.25 / form.levels
    shares = np.full(form.levels, even)
    shares[0] += 0.25
    shares[-1] += 0.5
    for value, share in enumerate(shares):
        assert within_4_sigma(int((level[stuck] == value).sum()), int(stuck.sum()), share)
    both = stuck[0::2] & stuck[1::2]
    assert within_4_sigma(int(both.sum()), both.size, rate**2)


def test_the_default_mix_is_that_of_the_paper():
    form = WeightFormat()
    stuck, level = cells_of(StuckCells(rate=0.5).draw_masks(20_000, form, np.random.default_rng(2)), form)
    assert set(level[stuck]) == {0, form.levels - 1}
    assert within_4_sigma(int((level[stuck] == 0).sum()), int(stuck.sum()), 1.75 / 10.79)


@pytest.mark.parametrize("rate", [0, 0.3, 1])
def test_as_many_cells_are_stuck_as_were_drawn(rate):
    """At most one fault a cell: none of the drawn ones falls onto another."""
    form = WeightFormat(cell_bits=1)
    masks = StuckCells(rate=rate).draw_masks(500, form, np.random.default_rng(3))
    stuck, _ = cells_of(masks, form)
    assert stuck.sum() == np.random.default_rng(3).binomial(stuck.size, rate)


def test_masks_hang_on_the_generator_alone():
    form, model = WeightFormat(), StuckCells(rate=0.05)
    one, two, other = (model.draw_masks(400, form, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one.keep == two.keep).all() and (one.force == two.force).all()
    assert (one.keep != other.keep).any()


def test_the_same_model_makes_fault_maps_for_chips():
    geometry = CellGeometry(arrays=4)
    model = StuckCells(rate=0.05)
    found = model.draw(geometry, np.random.default_rng(0))
    assert within_4_sigma(len(found), geometry.cells, 0.05)
    assert set(np.unique(found.kind)) == {FaultKind.stuck_hrs, FaultKind.stuck_lrs}


@pytest.mark.parametrize("mix", [{"flip": 1}, {"step": 1}, {"stuck_hrs": 1, "flip": 0.1}])
def test_soft_faults_are_refused(mix):
    with pytest.raises(InputError, match=r"StuckCells\.mix.*soft faults are cured by a refresh"):
        StuckCells(rate=0.1, mix=FaultMix(**mix))


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), "0.1"])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(InputError, match=r"StuckCells\.rate"):
        StuckCells(rate=rate)


@pytest.mark.parametrize(
    "wrong",
    [{"stages": []}, {"stages": [0.1]}, {"epochs_each": 0}, {"gradient": "none"}, {"level": "bit"}],
    ids=str,
)
def test_settings_of_the_method_are_checked(wrong):
    settings = {"stages": StuckCells(rate=0.1), **wrong}
    with pytest.raises(InputError):
        StuckCellTraining(settings.pop("stages"), array_of("isaac"), **settings)


class Stages(TrainingMethod):
    """Notes the rate of every batch."""

    def __init__(self, method):
        self.method, self.seen = method, []

    def before_batch(self, module, rng):
        """Note the rate of this batch."""
        self.seen.append(self.method.model.rate)


@pytest.mark.parametrize(("each", "expected"), [(1, [1, 2, 3, 3, 3, 3]), (2, [1, 1, 2, 2, 3, 3])])
def test_stages_change_at_their_epochs_and_the_last_one_stays(each, expected):
    rates = (0.01, 0.02, 0.03)
    method = StuckCellTraining([StuckCells(rate=r) for r in rates], array_of("isaac"), epochs_each=each)
    stages = Stages(method)
    fit(initialise(small, 1), *data(), recipe(epochs=6), seed=0, methods=[method, stages])
    assert stages.seen == [rates[stage - 1] for stage in expected for _ in range(3)]


def test_a_method_serves_a_second_training_of_another_module():
    method, found = StuckCellTraining(StuckCells(rate=0.05), array_of("isaac")), []
    first = initialise(small, 1)
    fit(first, *data(), recipe(), seed=0, methods=[method])
    kept = weights_of(first)
    for used in (method, StuckCellTraining(StuckCells(rate=0.05), array_of("isaac"))):
        module = initialise(small, 2)
        fit(module, *data(), recipe(), seed=0, methods=[used])
        found.append(module.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert all(torch.equal(a, b) for a, b in zip(kept, weights_of(first), strict=True))


@pytest.mark.parametrize(("mix", "signs"), [("hrs", {0}), ("lrs", {-1, 1}), ("even", {-1, 0, 1})])
def test_whole_weights_stick_at_zero_or_at_the_largest_magnitude(mix, signs):
    module = initialise(small, 1)
    method = StuckCellTraining(
        StuckCells(rate=0.3, mix=mix_presets()[mix]), array_of("isaac"), level="weight"
    )
    before = weights_of(module)
    method.before_epoch(module, 0, np.random.default_rng(0))
    method.before_batch(module, np.random.default_rng(0))
    for true, acting in zip(before, weights_of(module), strict=True):
        stuck = acting != true
        # the largest weight itself may be stuck at its own value
        assert within_4_sigma(int(stuck.sum()), stuck.numel(), 0.3)
        assert set((acting[stuck] / true.abs().max()).tolist()) == signs


def test_batch_norms_learn_the_statistics_of_faulty_batches_and_all_is_in_evaluation_at_the_end():
    module, modes = initialise(small, 1), []
    before = copy.deepcopy(module.state_dict())

    def note(*_):
        modes.append([part.training for part in module])

    method = StuckCellTraining(StuckCells(rate=0.02), array_of("isaac"))
    fit(module, *data(), recipe(epochs=2), seed=0, methods=[method], on_batch=note)
    assert modes == [[True] * len(module)] * 6
    after = module.state_dict()
    assert not any(torch.equal(after[name], before[name]) for name in after)
    assert not any(part.training for part in module.modules())


def test_outputs_that_batch_norm_switches_off_stay_off():
    module = initialise(small, 1)
    with torch.no_grad():
        module[1].weight[2] = 0
    method = StuckCellTraining(StuckCells(rate=0.1), array_of("isaac"))
    losses = [e.loss for e in fit(module, *data(), recipe(epochs=2), seed=0, methods=[method])]
    assert np.isfinite(losses).all()
    assert all(torch.isfinite(tensor).all() for tensor in module.state_dict().values())


def test_weights_that_are_not_finite_are_refused():
    module = initialise(small, 1)
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="training weights: expected finite numbers"):
        fit(module, *data(), recipe(), seed=0, methods=[
            StuckCellTraining(StuckCells(rate=0.1), array_of("isaac"))
        ])  # fmt: skip


def test_training_with_stuck_cells_holds_against_stuck_cells():
    """The reason for all of it: where plain training is brittle, chips with the same rate err less."""
    rng, rate = np.random.default_rng(5), 0.1
    centres, labels = rng.normal(size=(4, 20)), rng.integers(0, 4, 400)
    images = (centres[labels] + rng.normal(0, 1.2, (400, 20))).astype(np.float32)
    chips, wrong = StuckCellTraining(StuckCells(rate=rate), accelerator("isaac").array), []
    for methods in ([], [StuckCellTraining(StuckCells(rate=rate), accelerator("isaac").array)]):
        module = initialise(lambda: nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 4)), 0)
        fit(module, images, labels, recipe(epochs=15, batch_size=40), seed=0, methods=methods)
        chips.before_epoch(module, 0, rng)
        wrong.append(0)
        for seed in range(20):
            chips.before_batch(module, np.random.default_rng(seed))
            right, shots = accuracy(module, images, labels)
            wrong[-1] += shots - right
            chips.after_training(module)
    assert wrong[1] < 0.7 * wrong[0]


def test_modules_without_layers_that_a_chip_holds_are_refused():
    method = StuckCellTraining(StuckCells(rate=0.1), array_of("isaac"))
    images, labels = np.zeros((2, 3, 1), np.float32), np.zeros(2, np.int64)
    with pytest.raises(InputError, match="at least one linear or convolution layer"):
        fit(nn.Sequential(nn.Conv1d(3, 2, 1)), images, labels, recipe(), seed=0, methods=[method])


class WatchNorms(TrainingMethod):
    """What batch norms count and how they normalise, epoch by epoch."""

    def __init__(self):
        self.seen = []

    def after_step(self, module):
        norms = [m for m in module.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
        self.seen.append(([n.training for n in norms], [n.running_mean.clone() for n in norms]))


@pytest.mark.parametrize(("norm_epochs", "trained"), [(None, 3), (0, 0), (1, 1), (2, 2), (9, 3)])
def test_batch_norms_stay_after_their_epochs(norm_epochs, trained):
    watch, module = WatchNorms(), small()
    method = StuckCellTraining(StuckCells(rate=0.02), array_of("isaac"), norm_epochs=norm_epochs)
    fit(module, *data(), recipe(epochs=3), seed=0, methods=[method, watch])
    steps = 3  # an epoch
    for step, (training, means) in enumerate(watch.seen):
        assert training == [step < steps * trained] * 2
        if step:
            same = [torch.equal(a, b) for a, b in zip(means, watch.seen[step - 1][1], strict=True)]
            assert same == [step >= steps * trained] * 2


def test_norms_that_stay_are_in_the_description_and_checked():
    array = array_of("isaac")
    assert (
        "norms train for 2 epochs" in StuckCellTraining(StuckCells(rate=0.1), array, norm_epochs=2).describe()
    )
    assert "norms" not in StuckCellTraining(StuckCells(rate=0.1), array).describe()
    with pytest.raises(InputError, match="norm_epochs"):
        StuckCellTraining(StuckCells(rate=0.1), array, norm_epochs=-1)
