"""Error injection: shares, whole units, the equations bit for bit, gradients, and where the layers go."""

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from accel_models.finn.config import FinnConfig
from networks.cnv import Cnv
from networks.lfc import Lfc
from networks.resnet import ResNet
from tests.helpers.finn_networks import small_network
from tests.twins.crossbar import stuck_activations, stuck_places
from xbarsim.errors import InputError
from xbarsim.faults.activations import UNITS, StuckActivations
from xbarsim.faults.pe import PeFaultKind
from xbarsim.torch_bridge.injection import (
    ChannelDropout,
    ErrorInjection,
    enable_only,
    fault_aware,
    injected,
    injections,
    with_dropout2d,
)
from xbarsim.torch_bridge.quantized import QuantActivation
from xbarsim.torch_bridge.reach import ReachWarning

VALUES = {2: (-1.0, 1.0), 3: (-1.0, 0.0, 1.0), 7: tuple(float(v) for v in range(-3, 4))}
SHAPES = {
    ("element", 2): (300, 200),
    ("element", 4): (20, 30, 10, 10),
    ("channel", 2): (300, 200),
    ("channel", 4): (400, 150, 2, 3),
    ("pixel", 4): (60, 3, 32, 32),
}
HEALTHY = 99.0


def model(rate, unit="channel"):
    return StuckActivations(rate=rate, unit=unit)


def stick(shape, rate, unit, values, seed=1, dtype=torch.float32):
    """What becomes of activations of 99, which no value is."""
    torch.manual_seed(seed)
    return ErrorInjection(model(rate, unit), values)(torch.full(shape, HEALTHY, dtype=dtype))


def units_of(out, unit):
    """One activation of every unit."""
    if out.ndim == 2 or unit == "element":
        return out
    return out[:, :, 0, 0] if unit == "channel" else out[:, 0]


def within_4_sigma(hits, shots, share):
    return abs(hits - shots * share) <= 4 * np.sqrt(shots * share * (1 - share))


@pytest.mark.parametrize("count", VALUES)
@pytest.mark.parametrize(("unit", "axes"), SHAPES)
def test_every_value_gets_its_share_of_the_units(unit, axes, count):
    rate, values = 0.3, VALUES[count]
    out = units_of(stick(SHAPES[unit, axes], rate, unit, values), unit)
    for value in values:
        assert within_4_sigma(int((out == value).sum()), out.numel(), rate / count)
    assert within_4_sigma(int((out != HEALTHY).sum()), out.numel(), rate)


@pytest.mark.parametrize("unit", ["channel", "pixel"])
def test_units_are_stuck_as_a_whole(unit):
    out = stick((40, 20, 6, 5), 0.4, unit, VALUES[3])
    one = out[:, :, :1, :1] if unit == "channel" else out[:, :1]
    assert torch.equal(out, one.expand_as(out))
    assert len(one.unique()) == 4


@pytest.mark.parametrize(("unit", "shape"), [("channel", (300, 200, 1, 2)), ("pixel", (300, 2, 10, 20))])
def test_images_are_independent(unit, shape):
    """Units stuck in an image and in the next one are as many as chance has it; in space likewise."""
    rate = 0.3
    stuck = (units_of(stick(shape, rate, unit, VALUES[2]), unit) != HEALTHY).reshape(300, -1)
    both = stuck[0::2] & stuck[1::2]
    assert within_4_sigma(int(both.sum()), both.numel(), rate**2)
    neighbours = stuck[:, 0::2] & stuck[:, 1::2]
    assert within_4_sigma(int(neighbours.sum()), neighbours.numel(), rate**2)


@pytest.mark.parametrize("unit", UNITS)
def test_every_call_draws_anew_and_a_seed_says_what(unit):
    layer, x = ErrorInjection(model(0.5, unit), VALUES[2]), torch.full((8, 6, 4, 4), HEALTHY)
    torch.manual_seed(3)
    first, second = layer(x), layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


def numbers_of(index, shape, unit):
    """Drawn units, from the places of one activation of each, as numbers in C order."""
    own = {"element": len(shape), "channel": 2, "pixel": len(shape)}[unit]
    axes = [axis for axis in range(own) if unit != "pixel" or axis != 1]
    return np.ravel_multi_index([index[axis] for axis in axes], [shape[axis] for axis in axes]).tolist()


@pytest.mark.parametrize("rate", [0, 0.01, 0.3, 0.99, 1])
@pytest.mark.parametrize("count", VALUES)
@pytest.mark.parametrize(("unit", "axes"), SHAPES)
def test_the_layer_sticks_what_the_fault_model_draws(unit, axes, count, rate):
    """Bit for bit, against loops over units."""
    shape, values = (6, 5) if axes == 2 else (4, 3, 2, 5), VALUES[count]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(5)
    out = ErrorInjection(model(rate, unit), values)(x)
    torch.manual_seed(5)
    rng = np.random.default_rng(int(torch.randint(2**62, ())))
    drawn = model(rate, unit).draw_units(shape, count, rng)
    numbers, value = drawn.at.tolist(), drawn.value
    assert numbers == numbers_of(drawn.where, shape, unit)
    assert len(set(numbers)) == len(numbers) == len(value)
    levels = [values[v] for v in value]
    expected = stuck_activations(x.numpy(), unit, dict(zip(numbers, levels, strict=True)))
    assert (out.numpy() == expected).all()


@pytest.mark.parametrize("unit", UNITS)
def test_errors_and_gradients_are_the_same_however_activations_lie_in_memory(unit):
    x, upstream = torch.randn((5, 4, 3, 6)), torch.randn((5, 4, 3, 6))
    layer, found = ErrorInjection(model(0.3, unit), VALUES[3]), []
    lying = [
        lambda t: t,
        lambda t: t.contiguous(memory_format=torch.channels_last),
        lambda t: t.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0),
        lambda t: torch.stack([t, t], dim=4)[..., 0],
    ]
    for activations in lying:
        for gradient in lying:
            leaf = activations(x.clone()).detach().requires_grad_()
            torch.manual_seed(4)
            out = layer(leaf)
            out.backward(gradient(upstream))
            found.append((out.detach(), leaf.grad))
    assert (found[0][0] != x).any()
    for out, grad in found:
        assert torch.equal(out, found[0][0]) and torch.equal(grad, found[0][1])


@pytest.mark.parametrize("rate", [0, 1e-12, 0.003, 0.1, 0.5, 0.97, 1])
@pytest.mark.parametrize(("unit", "axes"), SHAPES)
def test_units_are_those_of_independent_trials_one_after_the_other(unit, axes, rate):
    shape = (30, 20) if axes == 2 else (10, 6, 5, 4)
    count = int(np.prod(model(rate, unit).unit_shape(shape)))
    for seed in range(3):
        index = model(rate, unit).draw_units(shape, 2, np.random.default_rng(seed)).where
        expected = stuck_places(count, rate, np.random.default_rng(seed))
        assert numbers_of(index, shape, unit) == expected


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.8])
def test_every_unit_from_the_first_to_the_last_is_as_likely(rate):
    """And every pair of them, in many small draws."""
    rng, stuck = np.random.default_rng(1), np.zeros((3000, 4), bool)
    for row in stuck:
        row[model(rate, "element").draw_units((1, 4), 2, rng).at] = True
    for first in range(4):
        assert within_4_sigma(int(stuck[:, first].sum()), 3000, rate)
        for second in range(first):
            both = stuck[:, first] & stuck[:, second]
            assert within_4_sigma(int(both.sum()), 3000, rate**2)


@pytest.mark.parametrize("shape", [(3, 4, 1, 5), (3, 4, 5, 1), (3, 1, 4, 5), (1, 4, 3, 3)])
@pytest.mark.parametrize("unit", UNITS)
def test_axes_of_one_place_are_no_special_case(unit, shape):
    x = torch.arange(float(np.prod(shape))).reshape(shape) + 10
    torch.manual_seed(2)
    out = ErrorInjection(model(0.4, unit), VALUES[3])(x)
    torch.manual_seed(2)
    rng = np.random.default_rng(int(torch.randint(2**62, ())))
    units = model(0.4, unit).draw_units(shape, 3, rng)
    drawn, stuck = np.zeros(shape, bool), (out != x).numpy()
    drawn[units.where] = True
    assert (stuck == drawn).all()
    assert stuck.any() and not stuck.all()
    assert {VALUES[3][v] for v in units.value} == set(out.numpy()[stuck].tolist())


@pytest.mark.parametrize(("unit", "axes"), SHAPES)
def test_gradient_is_that_of_the_forward_pass(unit, axes):
    shape = (4, 5) if axes == 2 else (2, 3, 3, 2)
    layer = ErrorInjection(model(0.4, unit), VALUES[3])
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)

    def run(activations):
        torch.manual_seed(2)  # the same errors every time
        return layer(activations)

    assert torch.autograd.gradcheck(run, (x,))
    upstream = torch.randn(shape, dtype=torch.float64)
    out = run(x)
    out.backward(upstream)
    stuck = run(torch.full(shape, HEALTHY, dtype=torch.float64)) != HEALTHY
    assert 0 < stuck.sum() < stuck.numel()
    assert torch.equal(x.grad, torch.where(stuck, 0.0, upstream))
    assert torch.equal(out[~stuck], x[~stuck])


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("unit", "axes"), SHAPES)
def test_an_activation_taken_in_is_the_same_as_two_layers(unit, axes, signed, last):
    """Bit for bit, forward and backward, though nothing is copied between them."""
    shape, activation = (40, 30) if axes == 2 else (6, 5, 4, 3), QuantActivation(2, signed=signed)
    apart = nn.Sequential(activation, ErrorInjection(model(0.4, unit), activation.values))
    together = ErrorInjection(model(0.4, unit), activation.values, activation=activation)
    upstream, found = torch.randn(shape), []
    for layer in (apart, together):
        x = 2 * torch.randn(shape, generator=torch.Generator().manual_seed(3))
        gradient = upstream.clone()
        if last and axes == 4:
            x, gradient = (t.contiguous(memory_format=torch.channels_last) for t in (x, gradient))
        before = x.clone()
        torch.manual_seed(2)
        out = layer(x.requires_grad_())
        out.backward(gradient)
        assert torch.equal(x, before) and torch.equal(gradient, upstream)
        found.append((out.detach(), x.grad))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])
    assert (found[0][1] != 0).any() and (found[0][1] == 0).any()


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("build", [lambda: Cnv(1, 2, width=4), lambda: ResNet(1), lambda: Functional()])
def test_what_is_written_in_place_nobody_else_needs(build, unit):
    """The same scores and gradients as with copies everywhere."""
    torch.manual_seed(0)
    module = build()
    x = torch.randn(4, *((1, 6, 6) if isinstance(module, Functional) else (3, 32, 32)))
    found = []
    for copies in (False, True):
        aware = fault_aware(module, model(0.3, unit), values=(0.0, 1.0)).train()
        for layer in injections(aware) if copies else ():
            layer.in_place = False
        torch.manual_seed(1)
        aware.zero_grad()
        aware(x).square().sum().backward()
        found.append([p.grad.clone() for p in aware.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_nothing_is_scaled_and_the_type_stays(dtype):
    out = stick((50, 40), 0.5, "element", VALUES[7], dtype=dtype)
    assert out.dtype == dtype
    assert set(out.unique().tolist()) == {*VALUES[7], HEALTHY}


@pytest.mark.parametrize("how", ["disabled", "eval", "rate 0"])
@pytest.mark.parametrize("unit", UNITS)
def test_the_layer_is_transparent_when_off(unit, how):
    layer = ErrorInjection(model(0 if how == "rate 0" else 1, unit), VALUES[2])
    layer.enabled = how != "disabled"
    layer.train(how != "eval")
    x = torch.randn(3, 4, 2, 2)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    assert layer(x) is x
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("unit", UNITS)
def test_rate_1_replaces_everything(unit):
    out = stick((30, 20, 4, 4), 1, unit, VALUES[3])
    assert sorted(out.unique().tolist()) == [-1, 0, 1]
    assert (stick((30, 20, 4, 4), 1, unit, (5,)) == 5).all()


def test_vanishing_rates_are_rates():
    for rate in (1e-20, 1e-40, 5e-324):
        assert (stick((50, 40), rate, "element", VALUES[2]) == HEALTHY).all()


@pytest.mark.parametrize("unit", UNITS)
def test_the_input_and_its_layout_stay(unit):
    x = torch.randn(4, 3, 5, 6).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    out = ErrorInjection(model(0.5, unit), VALUES[2])(x)
    assert torch.equal(x, before) and not torch.equal(out, before)
    assert out.is_contiguous(memory_format=torch.channels_last)
    wide = torch.randn(4, 3, 1, 1, requires_grad=True)
    torch.manual_seed(1)
    out = ErrorInjection(model(0.5, unit), (HEALTHY,))(wide.expand(4, 3, 5, 6))
    out.sum().backward()  # its gradient is one number for all
    assert torch.equal(wide.grad, (out != HEALTHY).sum((2, 3), keepdim=True).float())


@pytest.mark.parametrize("unit", UNITS)
def test_no_images_are_no_mistake(unit):
    for shape in ((0, 5, 2, 2), (0, 5)):
        assert ErrorInjection(model(0.5, unit), VALUES[2])(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1, 1)])
def test_pixels_leave_activations_without_pixels_alone(shape):
    x = torch.randn(shape)
    assert torch.equal(ErrorInjection(model(1, "pixel"), VALUES[2])(x), x)


def test_shapes_that_are_no_activations_are_refused():
    with pytest.raises(InputError, match=r"shape \(N, C, \.\.\.\)"):
        ErrorInjection(model(0.5), VALUES[2])(torch.ones(5))


@pytest.mark.parametrize(
    ("shape", "axis", "batch", "extends"),
    [((6, 4, 5), 1, 0, 2), ((6, 5, 4), -1, 0, 1), ((5, 6, 4), -1, 1, 0), ((6, 3, 5, 4), -1, 0, (1, 2)),
     ((6, 4, 2, 3, 2), 1, 0, (2, 3, 4))],
)  # fmt: skip
def test_channels_may_lie_on_any_axis(shape, axis, batch, extends):
    """A channel of an input is stuck as a whole: over its positions or its steps, whatever axes these are."""
    torch.manual_seed(0)
    out = ErrorInjection(model(0.5), (1.0,), axis=axis, batch=batch)(torch.full(shape, HEALTHY))
    stuck = out == 1.0
    assert stuck.any() and not stuck.all()
    assert torch.equal(stuck.all(dim=extends), stuck.any(dim=extends))


@pytest.mark.parametrize(
    "wrong", [{"rate": 1.5}, {"rate": -0.1}, {"rate": "1"}, {"rate": 0.1, "unit": "row"}]
)
def test_fault_models_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=r"StuckActivations\.(rate|unit)"):
        StuckActivations(**wrong)


def test_an_injection_needs_values():
    with pytest.raises(InputError, match="values: expected at least one number"):
        ErrorInjection(model(0.1), ())


@pytest.mark.parametrize(("unit", "kind"), [("channel", PeFaultKind.channel), ("pixel", PeFaultKind.pixel)])
def test_a_campaign_takes_its_faults_from_the_same_model(unit, kind):
    design = FinnConfig().program(small_network(np.random.default_rng(0), 1, 2))
    faults = design.fault_list(model(0.1, unit).kinds)
    assert len(faults) == design.count_faults(kind) > 0
    assert {fault.kind for fault in faults} == {kind}
    assert {fault.value for fault in faults} == {-1, 0, 1}


def test_a_campaign_cannot_stick_single_activations():
    with pytest.raises(InputError, match="'channel' or 'pixel'"):
        _ = model(0.1, "element").kinds


def readers(traced, kind):
    """What each inserted layer follows, or has taken in: the name of a layer, or of a node."""
    names = {layer: name for name, layer in traced.named_modules() if isinstance(layer, QuantActivation)}
    found = []
    for node in traced.graph.nodes:
        layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(layer, kind):
            first = node.args[0]
            read = str(first.target) if first.op == "call_module" else first.name
            found.append(names.get(getattr(layer, "activation", None), read))
    return found


CNV_PLACES = [f"layers.{i}" for i in (3, 7, 10, 14, 17, 20, 24, 27)]


def test_layers_go_behind_activations_or_the_pooling_behind_them():
    module = Cnv(1, 2, width=2)
    aware = fault_aware(module, model(0.1))
    assert readers(aware, ErrorInjection) == CNV_PLACES
    assert [type(module.get_submodule(name)).__name__ for name in CNV_PLACES[:4]] == [
        "QuantActivation", "MaxPool2d", "QuantActivation", "MaxPool2d",
    ]  # fmt: skip
    assert [layer.values for layer in injections(aware)] == [(-1.0, 0.0, 1.0)] * 8
    assert readers(fault_aware(Lfc(width=8), model(0.1)), ErrorInjection) == [
        "layers.4", "layers.7", "layers.10",
    ]  # fmt: skip


def test_residual_networks_get_one_behind_every_relu():
    module = ResNet(1)
    aware = fault_aware(module, model(0.1), values=(0.0, 1.0))
    places = readers(aware, ErrorInjection)
    assert places[0] == "relu" and places[-1] == "pool" and len(places) == 7
    assert places[1:4] == ["blocks.0.relu1", "blocks.0.relu2", "blocks.1.relu1"]
    torch.manual_seed(0)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(aware.eval()(x), module.eval()(x))
    assert aware.train()(x).isfinite().all()


def test_dropout_goes_to_the_same_places_and_drops_whole_channels():
    aware = with_dropout2d(Cnv(1, 2, width=2), 0.4)
    assert readers(aware, ChannelDropout) == CNV_PLACES
    torch.manual_seed(1)
    layer = ChannelDropout(0.4)
    out = layer(torch.ones(100, 50, 3, 2))
    assert torch.equal(out, out[:, :, :1, :1].expand_as(out))
    flat = layer(torch.ones(100, 50))
    for found in (out[:, :, 0, 0], flat):
        assert torch.allclose(found.unique(), torch.tensor([0, 1 / 0.6]))
        assert within_4_sigma(int((found == 0).sum()), found.numel(), 0.4)
    x = torch.randn(2, 3)
    assert torch.equal(layer.eval()(x), x)
    with pytest.raises(InputError, match="rate"):
        with_dropout2d(Cnv(width=2), 1.5)


class Functional(nn.Module):
    """Activations as functions, methods and in place; a layer that forward leaves out."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)
        self.aux = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        self.fc1, self.fc2 = nn.Linear(12, 6), nn.Linear(6, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn(self.conv(x))), 2)
        x = self.fc1(x.flatten(1).relu())
        return self.fc2(torch.tanh(x)).relu_()


def test_functional_activations_are_found():
    module = Functional()
    aware = fault_aware(module, model(0.5), values=(7.0,))
    assert readers(aware, ErrorInjection) == ["max_pool2d", "relu_1", "tanh", "relu_"]
    named = {"relu": (1.0,), "relu_1": (2.0,), "tanh": (3.0, 4.0), "relu_": (5.0,)}
    found = [layer.values for layer in injections(fault_aware(module, model(0.5), values=named))]
    assert found == list(named.values())


@pytest.mark.parametrize(
    ("module", "values", "words"),
    [
        (Functional(), None, r"activation 'relu' \(relu\)"),
        (Functional(), {"relu": (0.0,), "relu_1": (0.0,)}, r"activation 'tanh' \(tanh\)"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU()), None, r"activation '1' \(ReLU\)"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU()), {"0": (1.0,)}, r"activation '1' \(ReLU\)"),
    ],
)
def test_activations_without_values_are_named(module, values, words):
    with pytest.raises(InputError, match=f"{words}: expected a known set of values.*pass values="):
        fault_aware(module, model(0.1), values=values)


def test_values_by_name_are_for_those_that_do_not_know_their_own():
    module = nn.Sequential(nn.Linear(2, 2), QuantActivation(2), nn.Linear(2, 2), nn.ReLU())
    found = injections(fault_aware(module, model(0.1), values={"3": (0.0, 2.0)}))
    assert [layer.values for layer in found] == [(-1.0, 0.0, 1.0), (0.0, 2.0)]


class Untraceable(nn.Module):
    def forward(self, x):
        return torch.relu(x) if x.sum() > 0 else x


def test_modules_without_activations_or_with_control_flow_are_refused():
    with pytest.raises(InputError, match="at least one activation, got none"):
        fault_aware(nn.Sequential(nn.Linear(2, 2)), model(0.1))
    with pytest.raises(InputError, match=r"Untraceable: expected a module that torch\.fx can trace"):
        fault_aware(Untraceable(), model(0.1), values=(0.0,))


@pytest.mark.parametrize(
    ("build", "shape"),
    [(lambda: Cnv(1, 2, width=2), (4, 3, 32, 32)), (Functional, (4, 1, 6, 6))],
    ids=["cnv", "functional"],
)
def test_both_modules_share_parameters_and_state(build, shape):
    torch.manual_seed(0)
    module, x = build(), torch.rand(shape) - 0.5
    before, text = copy.deepcopy(module.state_dict()), str(module)
    aware = fault_aware(module, model(0.5), values=(0.0,))
    assert str(module) == text
    assert set(aware.state_dict()) == set(before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    shared = dict(aware.named_parameters())
    assert all(shared[name] is parameter for name, parameter in module.named_parameters())
    optimizer = torch.optim.SGD(aware.parameters(), 0.1)
    aware.train()(x).square().sum().backward()
    optimizer.step()
    assert any(not torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert torch.equal(aware.eval()(x), module.eval()(x))
    fresh = build()
    fresh.load_state_dict(aware.state_dict())
    assert torch.equal(fresh.eval()(x), module(x))
    aware.load_state_dict(build().state_dict())
    assert all(torch.equal(t, aware.state_dict()[name]) for name, t in module.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_that_of_the_module(training):
    aware = fault_aware(Cnv(width=2).train(training), model(0.5))
    assert all(part.training == training for part in aware.modules())


def test_layers_of_an_earlier_insertion_stay():
    aware = fault_aware(Lfc(width=8), model(0.5))
    both = with_dropout2d(aware, 0.1)
    assert len(injections(both)) == 3
    assert readers(both, ErrorInjection) == ["layers.4", "layers.7", "layers.10"]
    assert readers(both, ChannelDropout) == ["inserted_0", "inserted_1", "inserted_2"]
    assert len(injections(fault_aware(aware, model(0.1)))) == 6


def test_chosen_layers_alone_are_enabled_and_all_is_as_before_at_the_end():
    aware = fault_aware(Cnv(width=2), model(1))
    layers = injections(aware)
    enable_only(aware, [1, 6])
    assert [i for i, layer in enumerate(layers) if layer.enabled] == [1, 6]
    with pytest.raises(KeyboardInterrupt), injected(aware, [0]):
        assert [i for i, layer in enumerate(layers) if layer.enabled] == [0]
        raise KeyboardInterrupt
    assert [i for i, layer in enumerate(layers) if layer.enabled] == [1, 6]
    enable_only(aware, [])
    x = torch.rand(2, 3, 32, 32) - 0.5
    plain = copy.deepcopy(aware)
    for layer in injections(plain):
        layer.eval()
    assert torch.equal(aware(x), plain(x))


def test_injection_layers_say_what_they_do():
    assert "unit='channel'" in str(ErrorInjection(model(0.1), VALUES[7]))
    assert "7 values from -3 to 3" in str(ErrorInjection(model(0.1), VALUES[7]))


class Attention(nn.Module):
    """Every kind of weight: of layers, of functions, of attention and of recurrent layers."""

    def __init__(self):
        super().__init__()
        self.gates, self.seen = nn.GRU(8, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.own, self.up, self.head = nn.Parameter(torch.ones(8, 6)), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        states, _ = self.gates(x)
        states = self.seen(states, states, states)[0] @ self.own
        return self.head(F.gelu(self.up(states)))


def test_layers_that_no_activation_follows_have_errors_behind_them_too():
    module, x = Attention(), torch.randn(5, 4, 8)
    words = "^error injection reaches [0-9]+ % of the weights; left out: seen.in_proj_weight$"
    with pytest.warns(ReachWarning, match=words):
        traced = fault_aware(module, model(0.5), values=(0.0,))
    layers = injections(traced)
    assert [(layer.axis, layer.batch) for layer in layers] == [(-1, 1), (-1, 0), (-1, 0), (-1, 0)]
    assert torch.equal(traced.eval()(x), module.eval()(x))
    assert set(traced.state_dict()) == set(module.state_dict())
    traced.train()(x).sum().backward()
    assert all(p.grad is not None for p in module.parameters())


def test_values_by_name_say_which_bare_outputs_have_errors():
    bottleneck = nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.ConvTranspose1d(4, 5, 2), nn.ReLU6())
    module = nn.Sequential(bottleneck, nn.Flatten(), nn.Linear(45, 2))
    with pytest.warns(ReachWarning, match="left out: 0.0.weight$"):
        (only,) = injections(fault_aware(module, model(0.5), values={"0.3": (0.0,)}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        traced = fault_aware(module, model(0.5), values={"0.3": (0.0,), "0.0": (1.0,)})
    first, second = injections(traced)
    assert (first.values, second.values) == ((1.0,), only.values)
    assert readers(traced, ErrorInjection)[0] == "0.1"  # behind the norm that is folded in
    assert traced.train()(torch.randn(2, 3, 10)).shape == (2, 2)


def test_dropout_on_sequences_drops_channels():
    layer, x = ChannelDropout(0.5, axis=-1), torch.ones(6, 5, 8)
    torch.manual_seed(0)
    out = layer.train()(x)
    assert torch.equal(out, out[:, :1].expand_as(out)) and set(out.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(layer.eval()(x), x)
