"""What a training method does not reach of the weights that a chip would hold."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import torch
from torch import nn

SHOWN = 3


class ReachWarning(UserWarning):
    """A training method leaves weights out."""


def warn_of_left_out(what: str, module: nn.Module, reached: Iterable[torch.Tensor]) -> None:
    """Say which weights of at least two dimensions a method does not reach; embeddings lie on no array.

    Parameters
    ----------
    what : the method, for the message
    reached : the weights that it does reach
    """
    known = {id(weight) for weight in reached}
    beside = {id(m.weight) for m in module.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))}
    named = module.named_parameters()
    weights = {name: w for name, w in named if not nn.parameter.is_lazy(w) and w.ndim > 1}
    on_arrays = {name: w for name, w in weights.items() if id(w) not in beside or id(w) in known}
    left_out = [name for name, w in on_arrays.items() if id(w) not in known]
    if not left_out:
        return
    size = sum(w.numel() for w in on_arrays.values())
    share = 1 - sum(on_arrays[name].numel() for name in left_out) / size
    more = f" and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    few = ", ".join(left_out[:SHOWN]) + more
    text = f"{what} reaches {100 * share:.0f} % of the weights; left out: {few}"
    warnings.warn(text, ReachWarning, stacklevel=3)
