"""Parameter files of a board: one weight and one threshold file a PE and layer, as the boards load them.

`<layer>-<pe>-weights.bin`, `<layer>-<pe>-thres.bin`: little-endian words of 64 bits without a header, and
`classes.txt`. PE p owns rows p, p + PE, p + 2 PE, ...; word nf * SF + sf of its weights holds columns
sf * SIMD .. of row nf * PE + p, lane 0 in the lowest bits; its thresholds run over nf, then over thresholds.

Source: Xilinx/BNN-PYNQ, bnn/src/training/finnthesizer.py and library/host/foldedmv-offload.h.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accel_models.finn.floats import FloatPixels
from accel_models.finn.layer import IntArray, Mvtu
from accel_models.finn.network import FinnNetwork
from accel_models.finn.presets import BoardPreset, LayerShape, preset, presets
from xbarsim.errors import InputError
from xbarsim.files import read_bytes, read_text, write_atomically
from xbarsim.hints import checked

Words = NDArray[np.uint64]
AGAIN = "get the file again, or name another network"


@checked
def read_board(
    folder: str | Path, name: str | None = None, *, value_range: tuple[float, float] | None = None
) -> FinnNetwork:
    """Read a board's parameter directory.

    Parameters
    ----------
    name : which of the shipped networks it is; by default the folder's own name
    value_range : of the floats that its pixels stand for; by default that of the data it was trained on

    Raises
    ------
    InputError : no such folder or network; a file missing, too short or too long; a bit set above the lanes,
        a weight that is no weight, thresholds out of order. It names the file.
    """
    path = Path(folder)
    if not os.path.isdir(path):
        got = "a file" if os.path.exists(path) else "no such folder"
        raise InputError(f"board {path}", "a folder of parameter files", got)
    chosen = os.path.basename(os.path.realpath(path)) if name is None else name
    if chosen not in presets():
        raise InputError(
            f"board {path}", "a network of " + ", ".join(presets()), repr(chosen), "say its name"
        )
    board = preset(chosen)
    layers = tuple(_read_layer(path, place, shape) for place, shape in enumerate(board.layers))
    _check_nothing_else(path, board)
    low, high = board.value_range if value_range is None else value_range
    return FinnNetwork(
        name=board.name,
        layers=layers,
        image=board.image,
        pixels=board.pixels,
        head=board.head,
        floats=FloatPixels(low=low, high=high),
        first_layer_interval=board.first_layer_interval,
        class_text=_read_classes(path, board),
    )


@checked
def write_board(network: FinnNetwork, folder: str | Path) -> list[Path]:
    """Write a network as a board's parameter directory; every file is complete or not there.

    Raises
    ------
    InputError : a bias or inclusive thresholds, for which the files have no place; a word of more than 64
        bits; a place that cannot be written.
    """
    path = Path(folder)
    written = []
    for place, layer in enumerate(network.layers):
        if layer.bias is not None and layer.bias.any():
            raise InputError(f"layer {layer.name}", "no bias, which a board has no file for", "a bias")
        if layer.inclusive and layer.thresholds is not None:
            raise InputError(f"layer {layer.name}", "thresholds to exceed (T < a)", "inclusive ones")
        words = fold_weights(layer)
        for pe in range(layer.pe):
            written.append(_write(path / f"{place}-{pe}-weights.bin", words[pe].astype("<u8").tobytes()))
            if layer.thresholds is not None:
                own = layer.thresholds[pe :: layer.pe].astype("<i8").tobytes()
                written.append(_write(path / f"{place}-{pe}-thres.bin", own))
    if network.class_text:
        written.append(_write(path / "classes.txt", network.class_text.encode()))
    return written


def fold_weights(layer: Mvtu) -> Words:
    """(PE, NF * SF) words of a PE's weight memory."""
    bits = layer.weight_bits
    _check_word(f"layer {layer.name}", layer.simd, bits)
    codes = (layer.weights > 0) if bits == 1 else layer.weights.astype(np.int64) & ((1 << bits) - 1)
    lanes = codes.astype(np.uint64).reshape(layer.row_folds, layer.pe, layer.column_folds, layer.simd)
    shifts = np.arange(layer.simd, dtype=np.uint64) * np.uint64(bits)
    words = np.bitwise_or.reduce(lanes << shifts, axis=3)
    return words.transpose(1, 0, 2).reshape(layer.pe, -1)


def unfold_weights(words: Words, shape: LayerShape) -> NDArray[np.int8]:
    """(MH, MW) weights of the PEs' words: the inverse of `fold_weights`."""
    bits, folds = shape.weight_bits, (shape.rows // shape.pe, shape.columns // shape.simd)
    shifts = np.arange(shape.simd, dtype=np.uint64) * np.uint64(bits)
    lanes = (words.reshape(shape.pe, *folds, 1) >> shifts) & np.uint64((1 << bits) - 1)
    codes = lanes.transpose(1, 0, 2, 3).reshape(shape.rows, shape.columns).astype(np.int64)
    top = 1 << (bits - 1)
    return (2 * codes - 1 if bits == 1 else (codes ^ top) - top).astype(np.int8)


def _read_layer(path: Path, place: int, shape: LayerShape) -> Mvtu:
    row_folds, column_folds = shape.rows // shape.pe, shape.columns // shape.simd
    words = np.empty((shape.pe, row_folds * column_folds), np.uint64)
    thresholds: IntArray | None = None
    if shape.output is not None:
        thresholds = np.empty((shape.rows, shape.output.top), np.int64)
    for pe in range(shape.pe):
        file = path / f"{place}-{pe}-weights.bin"
        words[pe] = _read_words(file, words.shape[1]).view(np.uint64)
        _check_weights(file, words[pe], shape)
        if thresholds is not None:
            file = path / f"{place}-{pe}-thres.bin"
            own = _read_words(file, row_folds * thresholds.shape[1]).reshape(row_folds, -1)
            _check_thresholds(file, own, shape.wide_bits)
            thresholds[pe :: shape.pe] = own
    return Mvtu(
        name=str(place),
        weights=unfold_weights(words, shape),
        weight_bits=shape.weight_bits,
        thresholds=thresholds,
        input=shape.input,
        output=shape.output,
        shape=shape.shape,
        kernel=(shape.kernel, shape.kernel),
        pool=shape.pool,
        accumulates=shape.accumulates,  # type: ignore[arg-type]
        accumulator_shift=shape.accumulator_shift,
        accumulator_bits=shape.wide_bits,
        threshold_bits=shape.wide_bits,
        pe=shape.pe,
        simd=shape.simd,
    )


def _read_words(file: Path, count: int) -> IntArray:
    content = read_bytes(file, f"file {file}", expected=f"{8 * count} bytes", remedy=AGAIN)
    if len(content) != 8 * count:
        raise InputError(f"file {file}", f"{8 * count} bytes", len(content), AGAIN)
    return np.frombuffer(content, "<i8").astype(np.int64)


def _check_word(where: str, simd: int, bits: int) -> None:
    if simd * bits > 64:
        raise InputError(where, "SIMD lanes that fit a word of 64 bits", f"{simd} of {bits} bits")


def _check_weights(file: Path, words: Words, shape: LayerShape) -> None:
    used = shape.simd * shape.weight_bits
    _check_word(f"file {file}", shape.simd, shape.weight_bits)
    if used < 64 and (words >> np.uint64(used)).any():
        expected = f"no bit set above the {shape.simd} lanes of {shape.weight_bits} bits"
        raise InputError(f"file {file}", expected, hex(int(words.max())), AGAIN)
    if shape.weight_bits == 2:
        pairs = (words[:, None] >> (np.arange(0, used, 2, dtype=np.uint64))) & np.uint64(3)
        if (pairs == 2).any():
            raise InputError(f"file {file}", "weights of -1, 0 and +1", -2, AGAIN)


def _check_thresholds(file: Path, own: IntArray, bits: int) -> None:
    if (np.diff(own, axis=1) < 0).any():
        raise InputError(f"file {file}", "the thresholds of a row in ascending order", "a step down", AGAIN)
    if (own < -(1 << (bits - 1))).any() or (own >= 1 << (bits - 1)).any():
        raise InputError(f"file {file}", f"thresholds of {bits} bits", int(np.abs(own).max()), AGAIN)


def _check_nothing_else(path: Path, board: BoardPreset) -> None:
    """More PEs or layers than the network has mean that the folder is another network's."""
    known = {f"{i}-{p}-weights.bin" for i, s in enumerate(board.layers) for p in range(s.pe)}
    known |= {f"{i}-{p}-thres.bin" for i, s in enumerate(board.layers) if s.output for p in range(s.pe)}
    extra = sorted(f.name for f in path.glob("*-*-*.bin") if f.name not in known)
    if extra:
        raise InputError(f"board {path}", f"the files of {board.name} and no others", extra[0], AGAIN)


def _read_classes(path: Path, board: BoardPreset) -> str:
    file = path / "classes.txt"
    text = read_text(file, f"file {file}", expected="the names of the classes", remedy=AGAIN)
    if len(text.splitlines()) < board.head.classes:
        raise InputError(f"file {file}", f"{board.head.classes} lines", len(text.splitlines()), AGAIN)
    return text


def _write(path: Path, content: bytes) -> Path:
    return write_atomically(path, lambda temporary: temporary.write_bytes(content))
