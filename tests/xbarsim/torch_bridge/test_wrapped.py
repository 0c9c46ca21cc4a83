"""Networks as torch.export takes them: caches left out, any arguments, the batch free."""

import pytest
import torch
from torch import nn

from xbarsim.torch_bridge.capture import export
from xbarsim.torch_bridge.observe import run_captured
from xbarsim.torch_bridge.wrapped import Wrapped


class Cache:
    """Something that some networks give beside their scores, and that is no tensor."""

    def __init__(self, keys):
        self.keys = keys


class Cached(nn.Module):
    """A layer that gives a cache as well."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x, scale=None, **more):
        found = self.layer(x)
        if scale is not None:
            found = found * scale
        return {"logits": found, "cache": Cache(x), "more": more.get("mask")}


class Variadic(nn.Module):
    """Inputs without names, and those of any name."""

    def forward(self, *given, **named):
        return sum(given) + sum(named.values())


def named(x, **more):
    """What `Cached` is given by name."""
    return {"x": x, "scale": x[:, :3], **more}


def called(network, inputs):
    """What a network gives, without gradients."""
    with torch.no_grad():
        return network(**inputs) if isinstance(inputs, dict) else network(*inputs)


@pytest.mark.parametrize(
    ("module", "given"),
    [
        (Cached, lambda x: (x,)),
        (Cached, lambda x: named(x, mask=x)),
        (Variadic, lambda x: (x, x + 1)),
        (Variadic, lambda x: {"a": x, "b": x + 1}),
    ],
    ids=["cache", "cache by name", "variadic", "variadic by name"],
)
def test_caches_and_any_arguments_leave_the_batch_free(module, given):
    torch.manual_seed(0)
    network = module().eval()
    captured = export(network, given(torch.randn(3, 4)))
    assert captured.fixed_batch is None
    if isinstance(given(torch.randn(3, 4)), dict):
        assert [node.name for node in captured.inputs] == list(given(torch.randn(3, 4)))
    for batch in (1, 2, 5, 64):
        inputs = given(torch.randn(batch, 4))
        values = list(inputs.values()) if isinstance(inputs, dict) else list(inputs)
        found = {}
        run_captured(captured, values, found.__setitem__)
        wanted = called(network, inputs)
        scores = wanted["logits"] if isinstance(wanted, dict) else wanted
        torch.testing.assert_close(found[next(iter(captured.outputs.values()))], scores)


def test_outputs_that_torch_knows_stay_as_they_are_and_others_are_left_out():
    x = torch.randn(3, 4)
    assert list(called(Wrapped(Cached(), (x,)), (x,))) == ["logits"]
    assert torch.equal(called(Wrapped(Variadic(), (x, x)), (x, x)), 2 * x)
    pair = nn.LSTM(4, 2)
    found, (hidden, cell) = called(Wrapped(pair, (x,)), (x,))
    assert found.shape == (3, 2) and hidden.shape == cell.shape == (1, 2)


def test_arguments_have_the_names_of_forward_and_numbers_where_it_takes_any():
    x = torch.randn(3, 4)
    names = [node.name for node in export(Cached(), (x, x[:, :3])).inputs]
    assert names == ["x", "scale"]
    assert [node.name for node in export(Variadic(), (x, x)).inputs] == ["given_0", "given_1"]
