"""Networks trained elsewhere, from QONNX files as Brevitas exports them.

Scales, biases, batch norms and ReLUs end up in the integer thresholds, decided in fractions: exact for the
real-valued graph that the file describes. A program that computes the graph in single precision may put a
number that lies within its rounding of a decision point on the other side.

Source: QONNX (Pappalardo et al., 2022); the operators' definitions in fastmachinelearning/qonnx.
"""

from __future__ import annotations

from pathlib import Path

from accel_models.finn.floats import FloatPixels
from accel_models.finn.network import FinnNetwork, Head
from accel_models.finn.qonnx.file import read_line
from accel_models.finn.qonnx.walk import Walk
from xbarsim.errors import check_int
from xbarsim.hints import checked


@checked
def read_qonnx(
    path: str | Path,
    *,
    name: str | None = None,
    white: int = 1,
    value_range: tuple[float, float] | None = None,
    class_text: str = "",
) -> FinnNetwork:
    """Read a QONNX file: a line of products, batch norms, quantizers and 2 x 2 max-pools.

    Operators: Conv, MatMul, Gemm with weights from Quant or BipolarQuant (or stored integers);
    BatchNormalization, Mul, Div, Add, Sub with constants; Relu; Quant, BipolarQuant, MultiThreshold; MaxPool;
    Flatten, Reshape to (N, features), Transpose between channels first and last; Identity, Dropout.

    Parameters
    ----------
    name : of the network; by default the file's
    white : what the file's input holds for pixel 255, and 0 for pixel 0: 1 after torchvision's ToTensor, 255
        for the pixels themselves
    value_range : of the floats that pixels stand for in `FinnChip.run`; by default 0..white, as the file's
    class_text : the names of the classes, a line each

    Returns
    -------
    The network for (N, height, width, channels) pixels. Its last accumulators give the file's output but for
    a factor above 0 and a term that all classes share. A last bias that is no whole number is kept to a
    fraction of a step, fine enough that every class is that of the exact bias.

    Raises
    ------
    InputError : a file that cannot be read; an operator that a FINN dataflow cannot hold (padding, groups,
        branches, more than 8 bits, scales that differ where they must not), by its name.
    """
    shape, line = read_line(path)
    walk = Walk(shape, line, check_int("white", white, 1, 255))
    for operator in line:
        walk.take(operator)
    layers = walk.finish()
    low, high = (0, white) if value_range is None else value_range
    return FinnNetwork(
        name=Path(path).stem if name is None else name,
        layers=layers,
        image=walk.image,
        pixels=walk.pixels,
        head=Head(kind="first-maximum", classes=layers[-1].rows),
        floats=FloatPixels(low=low, high=high),
        flat=len(shape) == 2,
        class_text=class_text,
    )
