"""ONNX's LSTM, GRU and RNN as loops over time, of linear layers and activations.

Source: the ONNX operator specification, opsets 13 to 24.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from xbarsim.torch_bridge.onnx_math import Operator
from xbarsim.torch_bridge.onnx_values import Call

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "softsign": F.softsign,
    "softplus": F.softplus,
}
DEFAULTS = {"LSTM": ("sigmoid", "tanh", "tanh"), "GRU": ("sigmoid", "tanh"), "RNN": ("tanh",)}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
State = tuple[torch.Tensor, ...]


@dataclass(frozen=True, eq=False)
class _Direction:
    """The weights of one direction: (gates * hidden, inputs or hidden), and two biases."""

    weight: torch.Tensor
    again: torch.Tensor
    bias: torch.Tensor
    bias_again: torch.Tensor
    activations: tuple[Callable[[torch.Tensor], torch.Tensor], ...]


def _recurrent(call: Call) -> tuple[torch.Tensor, ...]:
    """Y (T, directions, N, hidden), and the last states (directions, N, hidden)."""
    kind = call.node.kind
    x = call.tensor(0)
    first = call.integer("layout", 0) == 1
    x = x.transpose(0, 1) if first else x
    if not isinstance(x.shape[0], int):
        call.refuse("sequences of one length", "lengths that vary")
    _check(call, int(x.shape[0]))
    names = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
    turned = names.get(call.text("direction", "forward"))
    if turned is None:
        call.refuse("a direction that is known", call.text("direction", ""))
    lines, ends = [], []
    for place, backwards in enumerate(turned):
        direction = _direction(call, place, len(turned))
        state = _start(call, x, direction.again.shape[1], place, first)
        line, state = _loop(call, x, direction, state, backwards)
        lines.append(line)
        ends.append(state)
    found = [torch.stack(lines, 1)]
    found += [torch.stack([state[i] for state in ends]) for i in range(2 if kind == "LSTM" else 1)]
    if first:
        return (found[0].permute(2, 0, 1, 3), *(f.transpose(0, 1) for f in found[1:]))
    return tuple(found)


def _check(call: Call, length: int) -> None:
    if call.has(4) and any(n != length for n in call.numbers(4)):
        call.refuse("sequences of their full length", "sequence_lens")
    if call.has(7):
        call.refuse("no peepholes", "input P")
    if "clip" in call.node.attributes or call.integer("input_forget", 0):
        call.refuse("cells without clip and input_forget", "one with them")


def _direction(call: Call, place: int, count: int) -> _Direction:
    kind = call.node.kind
    weight, again = call.tensor(1)[place], call.tensor(2)[place]
    rows = again.shape[0]
    both = call.optional(3)
    biases = torch.zeros(2 * rows) if both is None else both[place]
    names = [str(n).lower() for n in call.node.attributes.get("activations", DEFAULTS[kind] * count)]
    if len(names) != count * len(DEFAULTS[kind]) or any(n not in ACTIVATIONS for n in names):
        call.refuse("activations " + ", ".join(ACTIVATIONS), str(names)[:80])
    own = names[place * len(DEFAULTS[kind]) :][: len(DEFAULTS[kind])]
    functions = tuple(ACTIVATIONS[n] for n in own)
    return _Direction(weight, again, biases[:rows], biases[rows:], functions)


def _start(call: Call, x: torch.Tensor, hidden: int, place: int, first: bool) -> State:
    """The initial states; (N, directions, hidden) with the batch first."""
    found = []
    for source in (5, 6) if call.node.kind == "LSTM" else (5,):
        given = call.optional(source)
        if given is None:
            found.append(torch.zeros((x.shape[1], hidden)))
        else:
            found.append(given[:, place] if first else given[place])
    return tuple(found)


def _loop(
    call: Call, x: torch.Tensor, direction: _Direction, state: State, backwards: bool
) -> tuple[torch.Tensor, State]:
    step = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}[call.node.kind]
    after = call.node.kind == "GRU" and bool(call.integer("linear_before_reset", 0))
    line = []
    inputs = F.linear(x, direction.weight, direction.bias).unbind(0)
    for given in reversed(inputs) if backwards else inputs:
        state = step(given, state, direction, after)
        line.append(state[0])
    return torch.stack(line[::-1] if backwards else line), state


def _lstm(given: torch.Tensor, state: State, own: _Direction, after: bool) -> State:
    h, c = state
    sigmoid, candidate, last = own.activations
    i, o, f, g = (given + F.linear(h, own.again, own.bias_again)).chunk(4, dim=-1)
    c = sigmoid(f) * c + sigmoid(i) * candidate(g)
    return sigmoid(o) * last(c), c


def _gru(given: torch.Tensor, state: State, own: _Direction, after: bool) -> State:
    (h,) = state
    sigmoid, candidate = own.activations
    hidden = own.again.shape[1]
    first, third = own.again[: 2 * hidden], own.again[2 * hidden :]
    gates = given[:, : 2 * hidden] + F.linear(h, first, own.bias_again[: 2 * hidden])
    z, r = sigmoid(gates).chunk(2, dim=-1)
    last = own.bias_again[2 * hidden :]
    again = r * F.linear(h, third, last) if after else F.linear(r * h, third, last)
    n = candidate(given[:, 2 * hidden :] + again)
    return ((1 - z) * n + z * h,)


def _rnn(given: torch.Tensor, state: State, own: _Direction, after: bool) -> State:
    (h,) = state
    return (own.activations[0](given + F.linear(h, own.again, own.bias_again)),)


RECURRENT: dict[str, Operator] = {"LSTM": _recurrent, "GRU": _recurrent, "RNN": _recurrent}
