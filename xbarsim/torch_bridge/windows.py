"""The windows of torch's convolutions and pools."""

from __future__ import annotations

from typing import Any

from torch import fx, nn
from torch.nn import functional as F

from xbarsim.errors import InputError
from xbarsim.graph.window import Window


def pair(value: Any) -> tuple[int, int]:
    """PyTorch's int-or-pair as a pair."""
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def conv_window(layer: nn.Conv2d, where: str) -> Window:
    """The window of a convolution layer; `where` names it in errors."""
    if layer.padding_mode != "zeros":
        raise InputError(f"layer {where!r} (Conv2d)", "padding_mode 'zeros'", repr(layer.padding_mode))
    kernel, dilation = pair(layer.kernel_size), pair(layer.dilation)
    if layer.padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        padding = tuple((t // 2, t - t // 2) for t in totals)
    else:
        padding = tuple((p, p) for p in ((0, 0) if layer.padding == "valid" else pair(layer.padding)))
    return Window(kernel=kernel, stride=pair(layer.stride), padding=padding, dilation=dilation)  # type: ignore[arg-type]


def pool_window(node: fx.Node, module: fx.GraphModule) -> tuple[Window, dict[str, Any]]:
    """The window of a traced pooling layer or function, and all its options by name."""
    names = (
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "ceil_mode",
        "count_include_pad",
        "divisor_override",
    )
    if node.op == "call_module":
        layer = module.get_submodule(str(node.target))
        options = {n: getattr(layer, n) for n in (*names, "return_indices") if hasattr(layer, n)}
    else:
        average = node.target in (F.avg_pool2d,)
        order = ("kernel_size", "stride", "padding", *(names[4:] if average else names[3:5]))
        options = dict(zip(order, node.args[1:], strict=False)) | dict(node.kwargs)
    if options.get("divisor_override") or options.get("return_indices"):
        raise InputError(
            f"node {node.name!r}", "pooling without divisor_override or return_indices", "one of them"
        )
    kernel = pair(options["kernel_size"])
    stride = options.get("stride")
    padding = pair(options.get("padding", 0))
    window = Window(
        kernel=kernel,
        stride=kernel if stride is None or stride == [] else pair(stride),
        padding=((padding[0], padding[0]), (padding[1], padding[1])),
        dilation=pair(options.get("dilation", 1)),
        ceil_mode=bool(options.get("ceil_mode", False)),
    )
    return window, options
