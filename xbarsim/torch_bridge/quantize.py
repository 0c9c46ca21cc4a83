"""From a torch module to an `IntegerGraph`: capture, calibration, integers.

Any module that torch.export captures becomes one. Products with constant weights are on the arrays; what is
exact beside them, and what stays in floats, `xbarsim.torch_bridge.classes` says.

The module itself is left as it is; it is calibrated in eval mode.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from xbarsim.arrays import as_array, check_calibration
from xbarsim.chip import Quantization
from xbarsim.errors import InputError, check_choice, check_int, check_number
from xbarsim.graph.inputs import Batch
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Node
from xbarsim.graph.saturation import warn_of_few
from xbarsim.hints import checked
from xbarsim.torch_bridge.calls import takes_tokens
from xbarsim.torch_bridge.capture import export, is_exported
from xbarsim.torch_bridge.captured import Captured
from xbarsim.torch_bridge.classes import Classes
from xbarsim.torch_bridge.correction import with_corrected_biases
from xbarsim.torch_bridge.importer import Importer
from xbarsim.torch_bridge.observe import METHODS, PERCENTILE, observe
from xbarsim.torch_bridge.plain import NotPlain, plain
from xbarsim.torch_bridge.products import check_random, find_products
from xbarsim.torch_bridge.stacks import group_stacks
from xbarsim.torch_bridge.threads import torch_threads

MOST_BITS = 16
LIBRARIES = ("torch.", "transformers.", "timm.")
MOST_PERCENTILE_BITS = 8
MOST_CORRECTED_BITS = 8


@checked
def quantize(
    module: nn.Module,
    images: Any,
    *,
    weight_bits: int = 16,
    activation_bits: int = 16,
    symmetric: bool = False,
    scales: str | None = None,
    calibration: str | None = None,
    percentile: float = PERCENTILE,
    integers_only: bool = False,
) -> IntegerGraph:
    """Turn a module into integers, with scales calibrated on inputs.

    Parameters
    ----------
    module : any that torch.export captures, a network read from an ONNX file and the module of a
        torch.export program among them
    images : (N, ...) floats, some hundred typical inputs; a tuple or a dict of arrays (N, ...) where the
        module takes several, tokens and masks among them. Fewer than 32 are taken with a `CalibrationWarning`
    weight_bits, activation_bits : 2..16
    symmetric : keep the weights within +-(2**(b-1) - 1), as the differential encoding needs
    scales : 'channel': one a weight matrix's output and one a tensor of activations, with a zero point;
        'power-of-two': powers of two, one a tensor, without; by default powers of two where weights and
        activations have 16 bits, and one a channel for fewer
    calibration : 'min-max', 'percentile' or 'error'; by default min-max for powers of two and above 8 bits,
        and the percentile otherwise
    percentile : how many of a node's values its range holds, 50 < percentile <= 100
    integers_only : refuse a network with nodes that stay in floats

    Raises
    ------
    InputError : a module that cannot be captured, with its line; NaN weights; bad inputs; nodes in floats
    where they are not wanted.
    """
    check_number("percentile", percentile, 50, 100)
    wanted = Quantization(
        weight_bits=weight_bits, activation_bits=activation_bits, symmetric=symmetric, scales=scales
    )
    settings = settings_of(wanted)
    if calibration is not None:
        settings["calibration"] = check_choice("calibration", calibration, METHODS)
    found = imported(module, images, percentile=percentile, **settings)
    warn_of_few(found.calibrated)
    if not found.graph.layers:
        raise InputError("module", "at least one linear or convolution layer", "none")
    if integers_only:
        _check_integers(found.graph.nodes)
    return found.graph


def settings_of(wanted: Quantization) -> dict[str, Any]:
    """How a network is imported for an accelerator, its defaults filled in; see `imported`."""
    bits = check_int("weight_bits", wanted.weight_bits, 2, MOST_BITS)
    activations = check_int("activation_bits", wanted.activation_bits, 2, MOST_BITS)
    whole = "power-of-two" if min(bits, activations) == MOST_BITS else "channel"
    fixed_point = (wanted.scales or whole) == "power-of-two"
    few = activations <= MOST_PERCENTILE_BITS and not fixed_point
    return {
        "weight_bits": bits,
        "activation_bits": activations,
        "symmetric": wanted.symmetric,
        "fixed_point": fixed_point,
        "calibration": "percentile" if few else "min-max",
    }


@dataclass(frozen=True, eq=False)
class Imported:
    """A graph, the network that it is of, and which value of the network each of its nodes stands for.

    `calibrated` is the number of inputs that its ranges come from.
    """

    graph: IntegerGraph
    captured: Captured
    stands_for: dict[str, fx.Node]
    calibrated: int


def imported(
    module: nn.Module,
    images: Any,
    *,
    weight_bits: int,
    activation_bits: int,
    symmetric: bool,
    fixed_point: bool,
    calibration: str,
    percentile: float = PERCENTILE,
) -> Imported:
    """See `quantize`."""
    check_parameters(module)
    captured, sample = capture(module, images)
    products = find_products(captured)
    classes = Classes(captured, products, fixed_point=fixed_point)
    with torch_threads(1):  # with other numbers a sum may round across a power of two
        ranges = observe(captured, sample, method=calibration, percentile=percentile, bits=activation_bits)
    importer = Importer(
        classes=classes,
        ranges=ranges,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        symmetric=symmetric,
        fixed_point=fixed_point,
    )
    nodes, outputs = importer.build()
    several = len(outputs) > 1 or outputs[0][1] != nodes[-1].name
    graph = IntegerGraph(
        nodes,
        tuple(sample[0].shape[1:]),
        outputs if several else (),
        one_by_one=captured.fixed_batch is not None,
    )
    if not fixed_point and weight_bits <= MOST_CORRECTED_BITS:
        graph = with_corrected_biases(graph, captured, importer.stands_for, sample)
    return Imported(graph, captured, importer.stands_for, len(sample[0]))


def capture(module: nn.Module, images: Any) -> tuple[Captured, list[torch.Tensor]]:
    """A module's operators, and the inputs that it was captured with, in its order.

    Raises
    ------
    InputError : see `quantize`.
    """
    hooked = _check_hooks(module)
    given = _tensors(images, tokens=takes_tokens(module))
    module = copy.deepcopy(module).eval()
    if isinstance(given, torch.Tensor):
        try:
            if hooked:
                raise NotPlain
            captured = plain(module, given.double())
            return captured, [given.double()]
        except NotPlain:
            given = (given,)
    module = module.float().cpu()
    if isinstance(given, tuple):
        given = tuple(_single(t) for t in given)
        examples: Any = tuple(_examples(t) for t in given)
        sample = list(given)
    else:
        given = {name: _single(t) for name, t in given.items()}
        examples = {name: _examples(t) for name, t in given.items()}
        sample = list(given.values())
    captured = export(module, examples)
    group_stacks(captured)
    if isinstance(given, dict):
        sample = [given[node.name] for node in captured.inputs]
    check_random(captured)
    return captured, sample


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _examples(tensor: torch.Tensor) -> torch.Tensor:
    """Three of them: one or two would be taken for sizes of their own."""
    return tensor[:3] if len(tensor) >= 3 else torch.cat([tensor] * 3)[:3]


Given = torch.Tensor | tuple[torch.Tensor, ...] | dict[str, torch.Tensor]


def _tensors(images: Any, *, tokens: bool) -> Given:
    """Calibration inputs on the processor; floats that are one number throughout say nothing about scales."""
    if isinstance(images, dict):
        named = {str(name): _tensor(value, f"calibration input {name!r}") for name, value in images.items()}
        _check_varied(list(named.values()))
        return named
    if isinstance(images, (tuple, Batch)):
        several = tuple(_tensor(value, f"calibration input {i}") for i, value in enumerate(tuple(images)))
        _check_varied(list(several))
        return several
    if tokens and as_array("calibration inputs", images).dtype.kind in "iu":
        return _tensor(images, "calibration inputs")
    found = check_calibration(images).astype(np.float64)
    tensor = torch.from_numpy(np.ascontiguousarray(found))
    _check_varied([tensor])
    return tensor


def _check_varied(tensors: list[torch.Tensor]) -> None:
    """Refuse inputs each of which is one number throughout; a mask may be, beside others."""
    if tensors and all(t.numel() > 1 and bool((t == t.flatten()[0]).all()) for t in tensors):
        remedy, got = "hand in typical inputs", f"{float(tensors[0].flatten()[0]):g} alone"
        raise InputError("calibration images", "numbers that differ", got, remedy)


def _tensor(values: Any, where: str) -> torch.Tensor:
    found = np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)
    if found.dtype.kind not in "fiub" or not found.ndim or not found.size:
        raise InputError(where, "an array (N, ...) of numbers", f"{found.dtype} {found.shape}")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise InputError(where, "finite numbers", "NaN or infinity")
    wide = found.astype(np.int64) if found.dtype.kind in "iu" else found
    return torch.from_numpy(np.ascontiguousarray(wide))


def _check_hooks(module: nn.Module) -> bool:
    """Whether layers have hooks of libraries, which torch.export captures; others are refused."""
    found = False
    for name, layer in module.named_modules():
        for hook in (*layer._forward_hooks.values(), *layer._forward_pre_hooks.values()):
            found = True
            own = not str(getattr(hook, "__module__", "")).startswith(LIBRARIES)
            if own and not is_exported(module):
                where = f"layer {name or 'the module'!r}"
                raise InputError(where, "no forward hooks", "one", "remove it or write it into forward")
    return found


def _check_integers(nodes: Iterable[Node]) -> None:
    """Refuse nodes that stay in floats."""
    found = [node.origin or f"node {node.name!r}" for node in nodes if node.kind == "float"]
    if found:
        few = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
        raise InputError(
            "module", "integer operators only", f"{len(found)} nodes in floats: {few}", "allow floats"
        )


def check_parameters(module: nn.Module) -> None:
    """Refuse weights that are not there or not finite.

    Raises
    ------
    InputError : them.
    """
    tensors: Iterable[tuple[str, torch.Tensor]] = [*module.named_parameters(), *module.named_buffers()]
    for name, tensor in tensors:
        if nn.parameter.is_lazy(tensor):
            raise InputError(
                f"weights {name!r}", "initialised weights", "a lazy layer", "run it on an image first"
            )
        known_infinite = name.rpartition(".")[2] in ("attn_mask", "mask", "bias_mask")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all() and not known_infinite:
            raise InputError(
                f"weights {name!r}", "finite values", "NaN or infinity", "train or load the network again"
            )
