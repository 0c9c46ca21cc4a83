"""How many test images keep the float network's class at few bits, beside Brevitas' quantization.

    pip install 'xbarsim[brevitas]'
    python -m docs.agreement                  # the zoo's LeNet, cifar10_quick, ResNet-20 and MobileNetV2
    python -m docs.agreement lenet resnet20   # those by name

Both are calibrated on the same 32 training images and asked the same 1,000 test images: weights of 8 or 4
bits with a scale a channel, activations of 8 bits. Brevitas' post-training quantization is that of its
documents: batch norm merged, scales collected in `calibration_mode`, biases corrected in
`bias_correction_mode`; its scales are by the largest weight, or by least squared error (`MSE`).
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable

import numpy as np
import torch
from brevitas.graph.calibrate import bias_correction_mode, calibration_mode
from brevitas.graph.quantize import COMPUTE_LAYER_MAP, preprocess_for_quantize, quantize
from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerChannelFloatMSE
from torch import nn

import xbarsim as xb

NETWORKS = ("lenet", "convnet-quick", "resnet20", "mobilenetv2-cifar")
CALIBRATED, TESTED, AT_ONCE = 32, 1000, 100
Classes = Callable[[np.ndarray], np.ndarray]


def ours(module: nn.Module, images: np.ndarray, bits: int, scales: str) -> Classes:
    """Classes of the integer graph."""
    graph = xb.quantize(module, images, weight_bits=bits, activation_bits=8, scales=scales)
    return lambda x: graph.run(x).argmax(1)


def theirs(module: nn.Module, images: np.ndarray, bits: int, weights: type) -> Classes:
    """Classes of Brevitas' quantized module."""
    wanted = weights.let(bit_width=bits)  # type: ignore[attr-defined]
    kinds = (nn.Linear, nn.Conv2d)
    known = {kind: COMPUTE_LAYER_MAP[kind] for kind in kinds}
    layers = {kind: (made, {**rest, "weight_quant": wanted}) for kind, (made, rest) in known.items()}
    layers[nn.AvgPool2d] = COMPUTE_LAYER_MAP[nn.AvgPool2d]
    x = torch.from_numpy(images)
    with torch.no_grad():
        merged = preprocess_for_quantize(copy.deepcopy(module))
        quantized = quantize(merged, compute_layer_map=layers).eval()
        for mode in (calibration_mode, bias_correction_mode):
            with mode(quantized):
                quantized(x)
    return classes_of(quantized.eval())


def classes_of(module: nn.Module) -> Classes:
    """Classes of a torch module."""

    @torch.no_grad()
    def classes(x: np.ndarray) -> np.ndarray:
        return torch.cat([module(part).argmax(1) for part in torch.from_numpy(x).split(AT_ONCE)]).numpy()

    return classes


METHODS: dict[str, Callable[[nn.Module, np.ndarray, int], Classes]] = {
    "a channel": lambda m, x, bits: ours(m, x, bits, "channel"),
    "power of two": lambda m, x, bits: ours(m, x, bits, "power-of-two"),
    "Brevitas": lambda m, x, bits: theirs(m, x, bits, Int8WeightPerChannelFloat),
    "Brevitas MSE": lambda m, x, bits: theirs(m, x, bits, Int8WeightPerChannelFloatMSE),
}


def row(name: str, bits: int) -> str:
    """The row of a network: the share of images that keep their class, by every method."""
    entry = xb.network(name)
    module = entry.build()
    xb.load_checkpoint(xb.zoo_path(name), module)
    module.eval()
    train = xb.load_dataset(entry.dataset, "train", limit=CALIBRATED).images
    test = xb.load_dataset(entry.dataset, "test", limit=TESTED).images
    float_classes = classes_of(module)(test)
    cells = [name, f"{bits} bits"]
    for method in METHODS.values():
        share = float((method(module, train, bits)(test) == float_classes).mean())
        cells.append(f"{100 * share:.1f} %")
    return f"| {' | '.join(cells)} |"


def main(names: list[str]) -> None:
    """Print the table, a row as it is done."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"| network | weights | {' | '.join(METHODS)} |", "|---" * (len(METHODS) + 2) + "|", sep="\n")
    for bits in (8, 4):
        for name in names or NETWORKS:
            print(row(name, bits), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
