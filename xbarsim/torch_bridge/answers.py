"""What a float network says of images: on one thread, and always of as many images at a time.

Sums of floats round otherwise with other numbers of threads and of images. So an image's answer, to the bit,
is one of the image, the network and the processor: not of what else is asked, or of the machine's threads.
A network that draws at random, as spiking ones do, draws for all images of a part together, and the same
at every call.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from xbarsim.torch_bridge.threads import torch_threads

AT_ONCE = 100  # images; the last ones are filled up to so many


def in_parts(of: Callable[..., torch.Tensor], *inputs: torch.Tensor, at_once: int = AT_ONCE) -> torch.Tensor:
    """Return what a function gives of parts of the inputs, one after the other.

    Parameters
    ----------
    of : a function of tensors (at_once, ...), which gives a tensor (at_once, ...)
    inputs : (N, ...) of one N, at least 1

    Returns
    -------
    (N, ...), on the processor
    """
    with torch_threads(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = zip(*(tensor.split(at_once) for tensor in inputs), strict=True)
        return torch.cat([of(*(_filled(x, at_once) for x in part))[: len(part[0])].cpu() for part in parts])


def _filled(x: torch.Tensor, count: int) -> torch.Tensor:
    """`count` rows: the first one again and again behind those that there are."""
    missing = count - len(x)
    return x if not missing else torch.cat([x, *[x[:1]] * missing])
