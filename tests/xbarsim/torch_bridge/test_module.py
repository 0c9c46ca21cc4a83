"""The torch layers equal the simulated chip, and their gradient passes straight through."""

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.reram.config import accelerator, accelerator_presets
from tests.helpers.placements import in_weights
from tests.helpers.torch_modules import IMAGES, Residual
from xbarsim.errors import InputError
from xbarsim.faults.sampling import FaultMix, sample_by_rate
from xbarsim.programs import program
from xbarsim.torch_bridge.layers import OnGrid
from xbarsim.torch_bridge.module import ChipModule

STUCK = FaultMix(stuck_hrs=1.2, stuck_lrs=1, stuck_at=0.5)


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(1)
    made = Residual()
    with torch.no_grad():
        for _ in range(10):
            made(torch.tensor(IMAGES))
    return made.eval()


def faulty_chip(module, name, rate=0.02):
    """A chip with stuck cells, all in words of weights: cells off the diagonal of groups are in no mask."""
    chip = program(module, accelerator(name), calibrate=IMAGES)
    faults = sample_by_rate(chip.geometry, rate, mix=STUCK, rng=np.random.default_rng(0))
    return chip.inject(in_weights(chip.placement, faults))


@pytest.mark.parametrize("name", accelerator_presets())
def test_float64_module_equals_the_chip_bit_for_bit_where_nothing_clips(module, name):
    chip = faulty_chip(module, name)
    assert all(share.proven == 1.0 for share in chip.collapse_shares().values())
    bridge = ChipModule(chip.graph, chip.config.array.format, chip.training_masks(), dtype=torch.float64)
    with torch.no_grad():
        found = bridge(torch.tensor(IMAGES, dtype=torch.float64)).numpy()
    logits = chip.run(IMAGES).scores
    assert (found == logits).all()
    assert (logits != chip.graph.run(IMAGES)).any()


def test_float32_module_is_close_to_the_chip(module):
    chip = faulty_chip(module, "isaac")
    bridge = ChipModule(chip.graph, chip.config.array.format, chip.training_masks())
    with torch.no_grad():
        found = bridge(torch.tensor(IMAGES)).numpy()
    logits = chip.run(IMAGES).scores
    assert np.abs(found - logits).max() < 1e-3 * np.abs(logits).max()


def test_gradient_passes_straight_through_rounding_and_faults(module):
    """The gradient of a linear layer is that of a plain layer with the effective weights."""
    chip = faulty_chip(nn.Sequential(nn.Flatten(), nn.Linear(432, 4)), "isaac", 0.05)
    bridge = ChipModule(chip.graph, chip.config.array.format, chip.training_masks(), dtype=torch.float64)
    layer = bridge.layer("1")
    x = torch.tensor(IMAGES, dtype=torch.float64)
    (bridge(x) ** 2).sum().backward()
    plain = nn.Linear(432, 4).double()
    with torch.no_grad():
        plain.weight.copy_(layer.effective_weight())
        plain.bias.copy_(layer.quantized_bias())
        assert not torch.equal(plain.weight, layer.weight)
    fraction = chip.graph.nodes[0].fraction
    on_grid = torch.floor(x * 2.0**fraction + 0.5) * 2.0**-fraction
    (plain(on_grid.flatten(1)) ** 2).sum().backward()
    assert torch.allclose(layer.weight.grad, plain.weight.grad, rtol=1e-12)
    assert torch.allclose(layer.bias.grad, plain.bias.grad, rtol=1e-12)


def test_gradient_of_fixed_point_is_zero_where_it_saturates():
    x = torch.tensor([-3.0, -0.3, 0.3, 3.0], requires_grad=True)
    y = OnGrid.apply(x, 0.25, 0, -4, 3)
    y.sum().backward()
    assert y.tolist() == [-1.0, -0.25, 0.25, 0.75]
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_projection_puts_the_stuck_bits_into_the_weights(module):
    chip = faulty_chip(module, "isaac")
    bridge = ChipModule(chip.graph, chip.config.array.format, chip.training_masks())
    bridge.project()
    projected = bridge.to_graph()
    written = chip.update(projected)
    for layer in projected.layers:
        assert (written.effective_weights(layer.name) == layer.weights).all()
    assert (written.run(IMAGES).scores == projected.run(IMAGES)).all()


def test_masks_of_a_group_replace_earlier_ones_of_that_group(module):
    chip = faulty_chip(module, "isaac", 0.1)
    other = chip.inject(sample_by_rate(chip.geometry, 0.1, mix=STUCK, rng=np.random.default_rng(1)))
    one, two = chip.training_masks(), other.training_masks()
    fresh, changed = (ChipModule(chip.graph, chip.config.array.format, m) for m in (two, one))
    names = {name for name, _ in two}
    before = {name: changed.layer(name).effective_weight() for name in names}
    for (name, group), masks in two.items():
        changed.layer(name).set_masks(group, masks)
    assert set(one) == set(two) and any(group for _, group in two)
    for name in names:
        assert torch.equal(changed.layer(name).effective_weight(), fresh.layer(name).effective_weight())
        assert not torch.equal(changed.layer(name).effective_weight(), before[name])
    changed.set_masks({})
    healthy = ChipModule(chip.graph, chip.config.array.format)
    assert all(
        torch.equal(changed.layer(name).effective_weight(), healthy.layer(name).effective_weight())
        for name in names
    )


def test_untrained_module_gives_back_its_graph(module):
    chip = faulty_chip(module, "isaac-slc")
    back = ChipModule(chip.graph, chip.config.array.format, dtype=torch.float64).to_graph()
    for before, after in zip(chip.graph.layers, back.layers, strict=True):
        assert (before.weights == after.weights).all()
        assert (before.bias == after.bias).all()


def test_unknown_layer_is_refused(module):
    chip = faulty_chip(module, "isaac")
    with pytest.raises(InputError, match="layer"):
        ChipModule(chip.graph, chip.config.array.format).layer("fc9")
