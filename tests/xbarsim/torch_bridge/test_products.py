"""Products with constant weights are found however they are written, with what is linear behind them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.twins.digital import spread
from xbarsim.errors import InputError
from xbarsim.torch_bridge.capture import export
from xbarsim.torch_bridge.captured import Captured
from xbarsim.torch_bridge.observe import run_captured
from xbarsim.torch_bridge.products import affine_of, check_random, find_products

CONVOLVE = (F.conv1d, F.conv2d, F.conv3d)


def statistics(norm):
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.3, 3)
        norm.weight.normal_()
        norm.bias.normal_()
    return norm


class Written(nn.Module):
    """A layer, and how forward uses it."""

    def __init__(self, function, *layers):
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), function

    def forward(self, x):
        return self.function(x, *self.layers)


def found_in(module, *shape) -> tuple[Captured, list]:
    torch.manual_seed(0)
    captured = export(module.eval(), (torch.randn(3, *shape),))
    return captured, list(find_products(captured).values())


def product_of(weighted, x):
    """What a product and what is folded into it give, in torch."""
    weight, bias = torch.from_numpy(np.ascontiguousarray(weighted.weight)), torch.from_numpy(weighted.bias)
    if weighted.stride is None:
        return F.linear(x, weight, bias)
    if weighted.spread is not None:
        x = torch.from_numpy(spread(x.numpy(), *weighted.spread, 0))
    sides = [end for pads in reversed(weighted.padding) for end in pads]
    convolve = CONVOLVE[weight.ndim - 3]
    x = F.pad(x, sides)
    return convolve(x, weight, bias, weighted.stride, 0, weighted.dilation, weighted.groups)


def check(module, *shape, count=1):
    """A module's products, each of which gives the values that the network has behind it."""
    captured, products = found_in(module, *shape)
    assert len(products) == count
    values = {}
    run_captured(captured, [torch.randn(4, *shape)], lambda node, value: values.setdefault(node, value))
    for weighted in products:
        wanted = values[weighted.ranged].double()
        found = product_of(weighted, values[weighted.source].double()).reshape(wanted.shape)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    return captured, products


@pytest.mark.parametrize(("shape", "bias"), [((6,), True), ((3, 6), False), ((2, 3, 6), True)])
def test_linear_layers_of_any_dimensions(shape, bias):
    module = Written(lambda x, linear: linear(x), nn.Linear(6, 5, bias=bias))
    captured, (weighted,) = check(module, *shape)
    assert (weighted.name, weighted.key) == ("layers.0", "layers.0.weight")
    assert weighted.stride is None and weighted.weight.shape == (5, 6)
    assert captured.outputs["output"] in (weighted.ranged, *weighted.ranged.users)


MATRIX = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: x @ MATRIX, (3, 6)),
        (lambda x: torch.bmm(x, MATRIX.expand(x.shape[0], 6, 5)), (3, 6)),
        (lambda x: torch.matmul(x, MATRIX[None].repeat(2, 1, 1)), (2, 3, 6)),
        (lambda x: torch.einsum("nsi,io->nso", x, MATRIX), (3, 6)),
        (lambda x: torch.addmm(torch.arange(5.0), x, MATRIX), (6,)),
    ],
    ids=["matmul", "bmm", "repeated", "einsum", "addmm"],
)
def test_products_with_constants_however_they_are_written(function, shape):
    check(Written(lambda x: function(x)), *shape)


def test_stacks_of_different_matrices_and_products_of_activations_are_no_layers():
    stack = torch.stack([MATRIX, MATRIX + 1])
    check(Written(lambda x: torch.matmul(x, stack)), 2, 3, 6, count=0)
    check(Written(lambda x: torch.bmm(x, x.transpose(1, 2))), 3, 6, count=0)
    check(Written(lambda x: torch.bmm(MATRIX.T.expand(x.shape[0], 5, 6), x)), 6, 3, count=0)


@pytest.mark.parametrize(("axes", "groups"), [(1, 2), (2, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions_of_one_to_three_axes_grouped_dilated_transposed(axes, groups, transposed):
    name = f"Conv{'Transpose' if transposed else ''}{axes}d"
    options = {"stride": 2, "padding": 1, "dilation": 2, "groups": groups}
    if transposed:
        options["output_padding"] = 1
    layer = getattr(nn, name)(4, 6, (3, 2, 3)[:axes], **options)
    _, (weighted,) = check(Written(lambda x, conv: conv(x), layer), 4, *(7, 6, 8)[:axes])
    assert weighted.groups == groups and (weighted.spread is not None) == transposed
    assert weighted.weight.shape == (6, 4 // groups, *(3, 2, 3)[:axes])


def test_zeros_around_the_source_are_padding_unless_something_else_reads_them():
    conv = nn.Conv2d(4, 6, 3, padding=1)
    captured, (weighted,) = check(Written(lambda x, c: c(F.pad(x, (0, 1, 2, 3))), conv), 4, 5, 5)
    assert weighted.source in captured.inputs and weighted.padding == ((3, 4), (1, 2))
    captured, (weighted,) = check(Written(lambda x, c: c(F.pad(x, (0, 1), value=2.0)), conv), 4, 5, 5)
    assert weighted.source not in captured.inputs and weighted.padding == ((1, 1), (1, 1))

    def twice(x, c):
        x = F.pad(x, (1, 1, 1, 1))
        return c(x).sum() + x

    captured, (weighted,) = check(Written(twice, conv), 4, 5, 5)
    assert weighted.source not in captured.inputs


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ((nn.Conv2d(4, 6, 3), statistics(nn.BatchNorm2d(6))), (4, 5, 5)),
        ((nn.ConvTranspose1d(4, 6, 3), statistics(nn.BatchNorm1d(6))), (4, 5)),
        ((nn.Linear(4, 6), statistics(nn.BatchNorm1d(6))), (4,)),
        ((nn.Conv3d(4, 6, 1, groups=2, bias=False), statistics(nn.BatchNorm3d(6))), (4, 2, 2, 2)),
    ],
)
def test_batch_norm_behind_a_product_is_folded(layers, shape):
    captured, (weighted,) = check(nn.Sequential(*layers), *shape)
    assert weighted.ranged is captured.outputs["output"] and weighted.key is None
    assert weighted.folded == [weighted.ranged]


def test_what_is_linear_for_every_output_is_folded_one_after_the_other():
    gain, shift = torch.rand(6) + 0.5, torch.randn(6)

    def function(x, linear):
        return (linear(x) * gain + shift - 3.0) / 2.0

    captured, (weighted,) = check(Written(function, nn.Linear(4, 6)), 3, 4)
    assert weighted.ranged is captured.outputs["output"] and len(weighted.folded) == 4
    moved = Written(lambda x, linear: linear(x) + shift, nn.Linear(4, 6, bias=False))
    _, (weighted,) = check(moved, 4)
    assert weighted.key == "layers.0.weight"  # the weights are those of other uses


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda x, conv, norm: norm(y := conv(x)) + y, 1),
        (lambda x, conv, norm: norm(conv(x)) + conv(x).sigmoid(), 2),
        (lambda x, conv, norm: norm(conv(x).relu()), 1),
        (lambda x, conv, norm: conv(x) * torch.arange(5.0), 1),
    ],
    ids=["read twice", "a use of two", "behind a relu", "along the width"],
)
def test_what_others_read_or_lies_elsewhere_is_not_folded(function, count):
    module = Written(function, nn.Conv2d(4, 6, 1), statistics(nn.BatchNorm2d(6)))
    _, products = check(module, 4, 5, 5, count=count)
    assert any(not weighted.folded for weighted in products)


def test_a_norm_behind_a_value_that_is_given_as_well_is_not_folded():
    def both(x, linear, norm):
        x = linear(x)
        return {"hidden": x, "logits": norm(x)}

    _, (weighted,) = check(Written(both, nn.Linear(4, 6), statistics(nn.BatchNorm1d(6))), 4)
    assert not weighted.folded


def test_uses_of_one_layer_have_one_key():
    linear = nn.Linear(4, 4)
    _, products = check(nn.Sequential(linear, nn.ReLU(), linear), 2, 4, count=2)
    assert len({w.key for w in products}) == 1 and products[0].key.endswith(".weight")


def test_affine_is_what_constants_along_one_axis_do():
    rows = torch.arange(1.0, 6.0)[:, None]

    def function(x):
        return {
            "over": x / rows,
            "less": torch.sub(x, rows.T[:, :3], alpha=2),
            "two axes": x * (rows + torch.arange(3.0)),
            "larger": x[:, :1] + rows,
            "by nothing": x / torch.zeros(1),
            "square": x * x,
        }

    captured, _ = found_in(Written(function), 5, 3)
    found = {key: affine_of(captured, node) for key, node in captured.outputs.items()}
    over, less = found.pop("over"), found.pop("less")
    np.testing.assert_allclose(over.gain, 1 / np.arange(1.0, 6.0))
    assert (over.axis, over.shift.tolist()) == (1, [0.0] * 5)
    assert (less.axis, less.gain.tolist(), less.shift.tolist()) == (2, [1.0] * 3, [-2.0, -4.0, -6.0])
    assert list(found.values()) == [None] * 4


def test_dropout_that_always_draws_is_refused_by_its_place():
    captured, _ = found_in(Written(lambda x: F.dropout(x, 0.5, training=True)), 4)
    with pytest.raises(InputError, match=r"test_products\.py.*operators that draw no numbers"):
        check_random(captured)
