"""Modules of several inputs and outputs are called, and their scores found."""

from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from xbarsim.errors import InputError
from xbarsim.torch_bridge.calls import call, map_tensors, refusing_shapes, scores_in, takes_tokens, tensors_of

A, B = torch.zeros(2), torch.ones(3)
Pair = namedtuple("Pair", ("hidden", "logits"))


@dataclass
class Outputs:
    loss: object
    logits: object


class Difference(nn.Module):
    def forward(self, first, second):
        return first - second


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        (A, A),
        ((A, B), A),
        ((None, [B, A]), B),
        ({"hidden": A, "logits": B}, B),
        ({"out": {"aux": A, "logits": B}}, B),
        (Outputs(A, B), B),
        (Pair(A, B), B),
    ],
)
def test_scores_are_logits_or_the_first_tensor(outputs, wanted):
    assert scores_in(outputs) is wanted


def test_a_module_without_tensors_is_refused():
    with pytest.raises(InputError, match="module: expected a tensor as output, got dict"):
        scores_in({"name": "x"})


def test_inputs_go_by_place_or_name():
    assert torch.equal(call(Difference(), (B, B + 1)), -B)
    assert torch.equal(call(Difference(), {"second": B + 1, "first": B}), -B)
    assert torch.equal(call(nn.ReLU(), B), B)


def test_every_tensor_is_mapped_and_listed():
    double = {"a": A, "b": B}
    assert [t.tolist() for t in tensors_of(map_tensors(lambda t: t + 1, double))] == [[1, 1], [2, 2, 2]]
    assert isinstance(map_tensors(torch.neg, (A, B)), tuple) and tensors_of(A) == [A]


def test_tokens_are_for_embeddings():
    assert takes_tokens(nn.Sequential(nn.Embedding(3, 2))) and not takes_tokens(nn.Linear(2, 2))


def test_shapes_that_do_not_fit_are_said_in_a_line():
    with pytest.raises(InputError, match="images and labels: expected ones") as error, refusing_shapes():
        nn.Linear(3, 2)(torch.zeros(1, 4))
    assert "\n" not in str(error.value)
