"""Values that are wrong for an argument, by what a good one is; and values that say the same as a good one.

`wrong(good)` gives values that have to be refused, `doubtful(good)` values that may be refused or taken, but
never end in another exception than `InputError`, `alike(good)` values that mean what the good one means. All
of them are (name, value).
"""

from enum import Enum
from pathlib import Path

import numpy as np
import pandas as pd
import torch

HUGE = 10**400
NOTHING = [("an object", object()), ("bytes", b"1"), ("complex", 1j), ("a class", dict)]


def wrong(good):
    """Values that nobody could mean in place of a good one."""
    if isinstance(good, (bool, np.bool_)):
        return [*NOTHING, ("text", "yes"), ("2", 2), ("NaN", np.nan), ("a list", [True])]
    if isinstance(good, (int, float)) and not isinstance(good, Enum):
        return [*_no_numbers(), *([("1.5", 1.5)] if isinstance(good, int) else [])]
    if isinstance(good, str):
        return [
            *NOTHING,
            ("3", 3),
            ("NaN", np.nan),
            ("True", True),
            ("a list", [3]),
            ("no name", "\x00no name"),
        ]
    if isinstance(good, Path):
        return [
            *NOTHING,
            ("3", 3),
            ("NaN", np.nan),
            ("True", True),
            ("nowhere", good.with_name("nowhere") / "x"),
        ]
    if isinstance(good, (np.ndarray, torch.Tensor)):
        return _no_arrays(np.asarray(good))
    return [*NOTHING, ("3.7", 3.7), ("NaN", np.nan), ("True", True), ("text", "\x00nonsense")]


def doubtful(good):
    """Values that may be out of range, or fine."""
    if isinstance(good, (bool, np.bool_)):
        return [("None", None)]
    if isinstance(good, (int, float)) and not isinstance(good, Enum):
        large = [("2**80", 2**80), ("10**400", HUGE)]
        if isinstance(good, float):
            large += [("1e308", 1e308), ("1e-320", 1e-320), ("-0.0", -0.0)]
        return [("None", None), ("-1", -1), ("0", 0), *large]
    if isinstance(good, str):
        return [("None", None), ("empty", ""), ("long", "x" * 5000), ("odd", "a/b:c=d,e\n\x1b[31m")]
    if isinstance(good, Path):
        return [("None", None), ("empty", "")]
    if isinstance(good, (np.ndarray, torch.Tensor)):
        array = np.asarray(good)
        return [("None", None), ("negative", -array.astype(np.int64)), ("shorter", array[:1])]
    return [
        ("None", None),
        ("an empty list", []),
        ("an empty mapping", {}),
        ("a generator", (n for n in range(3))),
        ("a table", pd.DataFrame({"a": [1.0]})),
        ("an array", np.zeros((2, 2))),
    ]


def alike(good):
    """Values that mean exactly what the good one means."""
    if isinstance(good, (bool, np.bool_)):
        return [("numpy's", np.bool_(good))]
    if isinstance(good, int) and not isinstance(good, Enum):
        return [("numpy's int64", np.int64(good))]
    if isinstance(good, float):
        narrow = [("numpy's float32", np.float32(good))] if float(np.float32(good)) == good else []
        return [("numpy's float64", np.float64(good)), *narrow]
    if isinstance(good, str):
        return [("numpy's", np.str_(good))]
    if isinstance(good, np.ndarray) and good.dtype.kind in "fiu" and good.ndim:
        return _arrays_alike(good)
    return []


def _no_numbers():
    return [
        *NOTHING,
        ("text", "3"),
        ("NaN", np.nan),
        ("infinity", np.inf),
        ("True", True),
        ("numpy's True", np.True_),
        ("a list", [1]),
        ("an array", np.array([1, 2])),
        ("an empty array", np.zeros(0)),
        ("a date", np.datetime64(0, "s")),
        ("a 0-d array", np.array(1)),
    ]


def _no_arrays(good):
    floats = good.astype(float)
    spoiled = np.full(good.shape, np.nan)
    masked = np.ma.MaskedArray(good, np.ones(good.shape, bool))
    found = [
        *NOTHING,
        ("text", "nonsense"),
        ("NaN", np.nan),
        ("a number", 3),
        ("True", True),
        ("no numbers", []),
        ("ragged", [[1.0], [1.0, 2.0]]),
        ("full of NaN", spoiled),
        ("full of infinity", floats + np.inf),
        ("of objects", good.astype(object)),
        ("of texts", good.astype(str)),
        ("complex", good.astype(complex)),
        ("of truth values", good.astype(bool)),
        ("masked", masked),
        ("dates", np.zeros(good.shape, "M8[s]")),
        ("of records", np.zeros(good.shape, [("a", float)])),
        ("one axis more", good[None, :, None]),
        ("empty", good[:0]),
        ("a mapping", {"a": 1}),
        ("a generator", (n for n in range(3))),
        ("without values", torch.zeros(good.shape, device="meta")),
        ("sparse", torch.zeros(2, 2).to_sparse()),
        ("a path", Path("nowhere")),
    ]
    if good.dtype.kind in "iu":
        found += [
            ("moved by 1/4", floats + 0.25),
            ("a column", good[:, None]),
            ("below 0", -1 - np.abs(good.astype(int))),
            ("far above", good.astype(np.int64) + 10**9),
            ("2**63", good.astype(np.uint64) + np.uint64(2**63)),
        ]
    else:
        found += [("bytes of pixels", (floats * 255).clip(0, 255).astype(np.uint8).clip(2))]
    return found


def _arrays_alike(good):
    wide = np.float64 if good.dtype.kind == "f" else np.int64
    spread = np.zeros((*good.shape[:-1], 2 * good.shape[-1]), good.dtype)
    spread[..., ::2] = good
    fixed = good.copy()
    fixed.flags.writeable = False
    tensor = torch.from_numpy(good.astype(wide))
    found = [
        ("wide", good.astype(wide)),
        ("big-endian", good.astype(good.dtype.newbyteorder(">"))),
        ("with gaps", spread[..., ::2]),
        ("in Fortran's order", np.asfortranarray(good)),
        ("read-only", fixed),
        ("a list", good.tolist()),
        ("unmasked", np.ma.MaskedArray(good)),
        ("a tensor", tensor),
    ]
    if good.dtype.kind == "f":
        found.append(("a tensor with a gradient", tensor.clone().requires_grad_()))
    return found
