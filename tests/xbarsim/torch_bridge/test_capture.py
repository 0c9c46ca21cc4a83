"""Modules as graphs of core operators: right at other batches, outputs by key, said where they come from."""

import collections
import dataclasses

import pytest
import torch
from torch import nn

from xbarsim.errors import InputError
from xbarsim.torch_bridge.capture import export
from xbarsim.torch_bridge.observe import run_captured

Pair = collections.namedtuple("Pair", "hidden logits")


@dataclasses.dataclass
class Found:
    """What some networks give."""

    hidden: torch.Tensor
    logits: torch.Tensor


torch.export.register_dataclass(Found)


class Behind(nn.Module):
    """A linear layer and a function behind it."""

    def __init__(self, function):
        super().__init__()
        self.layer, self.function = nn.Linear(4, 3), function
        self.register_buffer("numbers", torch.arange(3.0))

    def forward(self, x):
        return self.function(self.layer(x), self.numbers)


def captured_from(function, batch=3):
    torch.manual_seed(0)
    module = Behind(function).eval()
    return module, export(module, (torch.randn(batch, 4),))


def outputs_of(captured, x):
    """What a captured network gives, by key."""
    found = {}
    run_captured(captured, [x], lambda node, value: found.setdefault(node, value))
    return {key: found[node] for key, node in captured.outputs.items()}


def test_what_is_captured_from_three_inputs_is_right_at_another_batch():
    def function(y, numbers):
        n = y.shape[0]
        return y.reshape(n * 3).reshape(n, 3) + torch.ones(n, 1) * n * numbers

    module, captured = captured_from(function)
    assert captured.fixed_batch is None
    for batch in (2, 3, 5, 11):
        x = torch.randn(batch, 4)
        with torch.no_grad():
            torch.testing.assert_close(outputs_of(captured, x)["output"], module(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda y, _: torch.cat([y[i : i + 1] * 1.5 for i in range(y.shape[0])]),
        lambda y, _: torch.stack([row.sigmoid() for row in y]),
        lambda y, _: y * 2 if y.shape[0] % 3 == 0 else y,
        lambda y, _: y * int(y.shape[0]),
        lambda y, _: y if y.shape[0] < 50 else -y,
    ],
    ids=["loop", "rows", "every third", "number", "small"],
)
def test_what_python_makes_of_the_batch_is_captured_for_single_inputs(function):
    module, captured = captured_from(function)
    assert captured.fixed_batch == 1
    x = torch.randn(1, 4)
    with torch.no_grad():
        torch.testing.assert_close(outputs_of(captured, x)["output"], module(x))


class Attentive(nn.Module):
    """Attention by one operator, and a view of what it gives, as some language models have it."""

    def __init__(self):
        super().__init__()
        self.words, self.parts = nn.Embedding(9, 8), nn.Linear(8, 24)
        self.weight = nn.Parameter(torch.randn(8, 8))

    def forward(self, tokens):
        n, length = tokens.shape
        split = self.parts(self.words(tokens)).split(8, dim=2)
        heads = [part.view(n, length, 2, 4).transpose(1, 2) for part in split]
        mixed = nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
        rows = mixed.transpose(1, 2).reshape(n, length, 8).contiguous()
        return torch.mm(rows.view(-1, 8), self.weight).view(n, length, 8)


def test_a_view_of_what_attention_gives_leaves_the_batch_free():
    torch.manual_seed(0)
    module = Attentive().eval()
    captured = export(module, (torch.randint(0, 9, (3, 4)),))
    assert captured.fixed_batch is None
    for batch in (1, 2, 5, 64):
        tokens = torch.randint(0, 9, (batch, 4))
        with torch.no_grad():
            torch.testing.assert_close(outputs_of(captured, tokens)["output"], module(tokens))


@pytest.mark.parametrize(
    ("give", "keys"),
    [
        (lambda a, b: a, ["output"]),
        (lambda a, b: (a, b), ["0", "1"]),
        (lambda a, b: {"hidden": a, "logits": b}, ["logits", "hidden"]),
        (lambda a, b: {"first": a, "inner": {"logits": b}}, ["inner.logits", "first"]),
        (lambda a, b: Pair(a, b), ["logits", "hidden"]),
        (lambda a, b: Found(a, b), ["logits", "hidden"]),
        (lambda a, b: [a, {"more": (b, a)}], ["0", "1.more.0", "1.more.1"]),
        (lambda a, b: (a, None, b), ["0", "2"]),
    ],
    ids=["tensor", "tuple", "dict", "nested", "namedtuple", "dataclass", "mixed", "none"],
)
def test_outputs_have_keys_and_scores_come_first(give, keys):
    module, captured = captured_from(lambda y, _: give(y, y.sigmoid()))
    assert list(captured.outputs) == keys
    x = torch.randn(4, 4)
    with torch.no_grad():
        hidden = module.layer(x)
    for key, value in outputs_of(captured, x).items():
        plain = key in ("output", "0", "hidden", "first", "1.more.1")
        torch.testing.assert_close(value, hidden if plain else hidden.sigmoid())


def test_inputs_by_name_are_in_the_order_of_forward():
    class Named(nn.Module):
        def forward(self, x, mask=None, scale=None):
            return x * mask - scale

    x = torch.randn(3, 4)
    captured = export(Named(), {"scale": x, "x": x, "mask": x > 0})
    assert sorted(node.name for node in captured.inputs) == ["mask", "scale", "x"]
    assert captured.fixed_batch is None


def test_where_names_the_layer_and_the_line_of_the_source():
    _, captured = captured_from(lambda y, _: y.sigmoid())
    product, sigmoid = captured.order()[1:]
    line = f"test_capture.py:{Behind.forward.__code__.co_firstlineno + 1}"
    assert captured.where(product) == f"layer 'layer' (Linear), node 'addmm' (addmm), {line}"
    assert captured.where(sigmoid) == f"node 'sigmoid' (sigmoid), {line}"


def test_what_depends_on_constants_alone_is_worked_out():
    module, captured = captured_from(lambda y, numbers: y + (numbers * 2).exp() - torch.ones(3))
    assert [str(n.target) for n in captured.order()[1:]] == [
        "aten.addmm.default",
        "aten.add.Tensor",
        "aten.sub.Tensor",
    ]
    values = list(captured.constants.values())
    assert any(torch.equal(v, (module.numbers * 2).exp()) for v in values if v.shape == (3,))
    assert {"layer.weight", "layer.bias", "numbers"} <= set(captured.weights.values())


@pytest.mark.parametrize(
    "function", [lambda y, _: y if y.sum() > 0 else -y, lambda y, _: y[: int(y.abs().sum())]]
)
def test_control_flow_that_depends_on_values_is_refused_in_a_line(function, capfd):
    with pytest.raises(
        InputError, match=r"module Behind: expected a module that torch\.export can"
    ) as refused:
        captured_from(function)
    assert "\n" not in str(refused.value) and "take control flow" in str(refused.value)
    assert "".join(capfd.readouterr()) == ""


def test_modules_without_tensors_as_outputs_are_refused():
    with pytest.raises(InputError, match="a tensor as output, got none"):
        captured_from(lambda y, _: {"n": 3})
