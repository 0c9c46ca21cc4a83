"""Results as JSON documents: plain data with the parameters that made them and the program's version."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from xbarsim import __version__
from xbarsim.errors import printable

LONGEST = 10_000


def document(command: str, parameters: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """One command's results, ready for `json_text`."""
    head = {"program": "xbarsim", "version": __version__, "command": command}
    return head | {"parameters": _shown(plain(parameters)), "results": _shown(plain(results))}


def plain(value: Any) -> Any:
    """Dataclasses, mappings, arrays, kinds (their names) and paths as JSON types; what is not finite is null.

    >>> import numpy as np
    >>> plain({"rate": np.float64(0.5), "unknown": float("nan"), "shape": (2, 3)})
    {'rate': 0.5, 'unknown': None, 'shape': [2, 3]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # of numpy
        return plain(value.tolist())
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _shown(value: Any) -> Any:
    """Plain data whose texts, which may be anybody's, steer no terminal and have an end."""
    if isinstance(value, dict):
        return {printable(key): _shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return printable(value, LONGEST) if isinstance(value, str) else value


def json_text(content: Mapping[str, Any]) -> str:
    """The document as text, the same for the same content."""
    return json.dumps(content, indent=2, allow_nan=False)
