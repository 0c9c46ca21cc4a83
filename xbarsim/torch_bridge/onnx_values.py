"""Values on their way through an ONNX graph, and the call of an operator on them.

A value is a tensor, or *known*: a constant of the file, or numbers that shapes alone decide. Known numbers
may hold sizes that are symbols while torch.export looks on, so that nothing bakes the batch in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from xbarsim.errors import InputError
from xbarsim.limits import check_memory
from xbarsim.torch_bridge.onnx_file import OnnxNode, single


@dataclass(frozen=True, eq=False)
class Known:
    """Numbers that are known without data.

    Parameters
    ----------
    array : float32, int64 or bool; objects where some of them are symbols
    held : the parameter or buffer of the module that holds them, if one does
    """

    array: NDArray
    held: torch.Tensor | None = None

    @classmethod
    def of(cls, array: Any) -> Known:
        """Numbers in the type that they have: whole, real, true or false, or some of them symbols."""
        found = np.asarray(array)
        if found.dtype == object:
            items = found.reshape(-1).tolist()
            for kind, dtype in ((bool, np.bool_), (int, np.int64)):
                if all(type(item) is kind or isinstance(item, np.dtype(dtype).type) for item in items):
                    return cls(found.astype(dtype))
            if all(isinstance(item, (int, float, np.number)) for item in items):
                return cls(found.astype(np.float32))
            return cls(found)
        return cls(single(found))

    def tensor(self) -> torch.Tensor:
        """The numbers as a tensor."""
        if self.held is not None:
            return self.held
        if self.array.dtype != object:
            return torch.from_numpy(self.array)
        whole = all(isinstance(item, (int, np.integer, torch.SymInt)) for item in self.array.reshape(-1))
        dtype = torch.int64 if whole else torch.float32
        parts = [torch.scalar_tensor(item, dtype=dtype) for item in self.array.reshape(-1).tolist()]
        return torch.stack(parts).reshape(self.array.shape)


Value = torch.Tensor | Known


@dataclass(frozen=True, eq=False)
class Call:
    """An operator and the values that it is called on; None for those that are left out."""

    node: OnnxNode
    values: tuple[Value | None, ...]

    def has(self, place: int) -> bool:
        """Whether there is such an input."""
        return place < len(self.values) and self.values[place] is not None

    def value(self, place: int) -> Value:
        """An input as it is."""
        found = self.values[place] if place < len(self.values) else None
        if found is None:
            self.refuse(f"input {place}", "none")
        return found

    def tensor(self, place: int) -> torch.Tensor:
        """An input as a tensor."""
        found = self.value(place)
        return found.tensor() if isinstance(found, Known) else found

    def tensors(self) -> list[torch.Tensor]:
        """All inputs as tensors."""
        return [self.tensor(place) for place in range(len(self.values))]

    def optional(self, place: int) -> torch.Tensor | None:
        """An input that may be left out."""
        return self.tensor(place) if self.has(place) else None

    def array(self, place: int) -> NDArray:
        """An input that has to be known."""
        found = self.value(place)
        if not isinstance(found, Known):
            self.refuse(f"an input {place} that does not depend on the data", "one that does")
        return found.array

    def numbers(self, place: int) -> list[Any]:
        """The numbers of an input that has to be known."""
        return self.array(place).reshape(-1).tolist()

    def number(self, place: int, default: Any = None) -> Any:
        """An input that is one number, and known."""
        if not self.has(place):
            return default
        found = self.numbers(place)
        if len(found) != 1:
            self.refuse(f"one number as input {place}", f"{len(found)}")
        return found[0]

    def integer(self, name: str, default: int) -> int:
        """An attribute that is a whole number."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, int):
            self.refuse(f"{name}, a whole number", repr(found)[:60])
        return found

    def integers(self, name: str, default: Sequence[int] | None = None) -> list[int]:
        """An attribute that is a list of whole numbers."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, (list, tuple)) or not all(isinstance(n, int) for n in found):
            self.refuse(f"{name}, whole numbers", repr(found)[:60])
        return list(found)

    def real(self, name: str, default: float) -> float:
        """An attribute that is a number."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, (int, float)):
            self.refuse(f"{name}, a number", repr(found)[:60])
        return float(found)

    def text(self, name: str, default: str) -> str:
        """An attribute that is a word."""
        return str(self.node.attributes.get(name, default))

    def listed(self, name: str, place: int) -> list[Any] | None:
        """Whole numbers that are an attribute in some opsets and an input in others; None for neither."""
        if name in self.node.attributes:
            return self.integers(name)
        return self.numbers(place) if self.has(place) else None

    def axis(self, dimensions: int, default: int, name: str = "axis") -> int:
        """An attribute that is an axis, counted from the front."""
        return self.place_of(self.integer(name, default), dimensions)

    def place_of(self, axis: Any, dimensions: int) -> int:
        """An axis, counted from the front."""
        if not isinstance(axis, int) or not -dimensions <= axis < max(dimensions, 1):
            self.refuse(f"an axis of {dimensions}", repr(axis)[:60])
        return axis % dimensions if dimensions else 0

    def check_made(self, sizes: Sequence[Any]) -> None:
        """Refuse a result that is too large, if its sizes are known, or has negative sizes."""
        count = 1.0
        for size in sizes:
            if isinstance(size, int):
                if size < 0:
                    self.refuse("sizes of at least 0", size)
                count *= size
        check_memory(self.node.where, 8 * count, "a tensor of these sizes")

    def refuse(self, expected: str, got: object, remedy: str = "export the network otherwise") -> NoReturn:
        """Raise an error that names the node."""
        raise InputError(self.node.where, expected, got, remedy)
