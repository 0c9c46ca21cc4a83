"""Names of things: accelerators, fault models, detectors, repairs, for command lines, files and tables.

An entry is a frozen dataclass, or a function without arguments that gives one. Built-in entries are named by
their place and imported when they are asked for; a decorator adds more:

>>> from dataclasses import dataclass
>>> shapes = Registry("shape")
>>> @shapes.register("square")
... @dataclass(frozen=True, kw_only=True)
... class Square:
...     side_mm: float = 1.0
>>> shapes.parse("square:side_mm=2")
Square(side_mm=2.0)
>>> shapes.describe(Square(side_mm=3))
{'name': 'square', 'side_mm': 3}
"""

from __future__ import annotations

import importlib
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import partial
from typing import Any, TypeVar

from xbarsim.documents import plain
from xbarsim.errors import InputError, check_choice
from xbarsim.hints import checked

T = TypeVar("T")


class Registry:
    """One kind of thing by name.

    Parameters
    ----------
    kind : in words, for messages
    built_in : place of every entry that xbarsim brings, as 'package.module:name'
    """

    def __init__(self, kind: str, built_in: Mapping[str, str] | None = None) -> None:
        self.kind, self._built_in = kind, dict(built_in or {})
        self._added: dict[str, Callable[[], Any]] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds a class, or a function that makes an object, under a name.

        Raises
        ------
        InputError : a name that is taken, or that a command line could not say.
        """

        def add(entry: T) -> T:
            if not name or set(name) & set(":,= \t\n/"):
                raise InputError(
                    f"{self.kind} {name!r}", "a name without blanks, ':', ',', '=' and '/'", "one"
                )
            before = self._added.get(name)
            place = getattr(entry, "__module__", ""), getattr(entry, "__qualname__", "")
            again = before is not None and place == (before.__module__, before.__qualname__)
            if name in self._built_in or (before is not None and not again):
                raise InputError(f"{self.kind} {name!r}", "a name of its own", "one that is taken")
            self._added[name] = entry  # type: ignore[assignment]
            return entry

        return add

    @property
    def names(self) -> tuple[str, ...]:
        """All names: built-in ones, then those that were added."""
        return (*self._built_in, *self._added)

    def entry(self, name: str) -> Callable[..., Any]:
        """Return the class or function of a name.

        Raises
        ------
        InputError : an unknown name.
        """
        check_choice(self.kind, name, self.names)
        if name in self._added:
            return self._added[name]
        module, _, attribute = self._built_in[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    @checked
    def make(self, name: str, values: Mapping[str, Any] | None = None, *, strict: bool = False) -> Any:
        """Return an object with some of its fields set; 'a.b' is field b of the object in field a.

        Parameters
        ----------
        strict : values have the fields' types already, as those of a file; else words are read as numbers

        Raises
        ------
        InputError : an unknown name or field, a value of another type or out of range.
        """
        entry = self.entry(name)
        where, values = f"{self.kind} {name}", dict(values or {})
        if isinstance(entry, type):
            return _filled(where, partial(entry), entry, values, strict)
        made = entry()
        return _filled(where, partial(replace, made), type(made), values, strict, made) if values else made

    @checked
    def parse(self, text: str) -> Any:
        """Return the object that 'name' or 'name:field=value,field=value' describes; '+' joins lists."""
        name, _, rest = text.partition(":")
        values: dict[str, str] = {}
        for part in rest.split(",") if rest else ():
            field, equal, value = part.partition("=")
            if not equal or field.strip() in values:
                got = "a field twice" if equal else repr(part)
                raise InputError(f"{self.kind} {text!r}", "name:field=value,field=value", got)
            values[field.strip()] = value.strip()
        return self.make(name.strip(), values)

    def fields(self, name: str) -> dict[str, str]:
        """Return the fields of a name with their defaults, as one would type them."""
        entry = self.entry(name)
        made = entry if isinstance(entry, type) else entry()
        return {f.name: _typed_as(f, made) for f in fields(made) if f.name != "name"}

    def list_fields(self, name: str) -> frozenset[str]:
        """Return the fields of a name that hold lists.

        Raises
        ------
        InputError : an unknown name, annotations that cannot be resolved.
        """
        entry = self.entry(name)
        hints = _hints(f"{self.kind} {name}", entry if isinstance(entry, type) else type(entry()))
        return frozenset(field for field, hint in hints.items() if _is_listed(hint))

    def about(self, name: str) -> str:
        """Return the first sentence of a name's docstring."""
        return " ".join((self.entry(name).__doc__ or "").strip().split("\n\n")[0].split())

    def name_of(self, thing: Any) -> str:
        """Return the name that a thing's class is registered under, or else the class's own."""
        found = type(thing)
        place = f"{found.__module__}:{found.__qualname__}"
        for name in self.names:
            if self._built_in.get(name) == place or self._added.get(name) is found:
                return name
        return found.__qualname__

    def describe(self, thing: Any) -> dict[str, Any]:
        """Return its name and fields as JSON types: what tells it from others."""
        if hasattr(thing, "describe"):  # what its fields are too large for
            return dict(thing.describe())
        if not is_dataclass(thing):
            raise InputError(self.kind, "a dataclass, whose fields describe it", type(thing).__qualname__)
        return {"name": self.name_of(thing), **{f.name: plain(getattr(thing, f.name)) for f in fields(thing)}}

    def words(self, thing: Any) -> str:
        """Return what people read: the thing's own `words` or `name`, or else its registered name with the
        fields that differ from their defaults."""
        own = getattr(thing, "words", None) or getattr(thing, "name", None)
        return str(own) if own else ", ".join([self.name_of(thing), *_changed(thing)])


def _changed(thing: Any, prefix: str = "") -> list[str]:
    """The fields that differ from their defaults, those of parts among them."""
    found = []
    for field in fields(thing):
        value, name = getattr(thing, field.name), f"{prefix}{field.name}"
        if is_dataclass(value):
            found += _changed(value, f"{name}.")
        elif value != _default(field):
            found.append(f"{name} {_short(value)}")
    return found


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _typed_as(field: Any, made: Any) -> str:
    if not isinstance(made, type):
        value = getattr(made, field.name)
    elif field.default is not MISSING:
        value = field.default
    elif field.default_factory is not MISSING:
        value = field.default_factory()
    else:
        return "(needed)"
    if is_dataclass(value):
        return "..."
    return "+".join(map(str, value)) if isinstance(value, tuple) else _short(value)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _filled(
    where: str, make: Callable[..., Any], kind: type, values: dict[str, Any], strict: bool, start: Any = None
) -> Any:
    known = {f.name: f for f in fields(kind) if f.init}  # type: ignore[arg-type]
    hints = _hints(where, kind) if values else {}
    own: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        head, _, rest = name.partition(".")
        if head not in known:
            raise InputError(where, f"fields {', '.join(known) or 'none'}", repr(name))
        if rest:
            inner.setdefault(head, {})[rest] = value
        else:
            own[head] = _typed(f"{where}, {head}", hints[head], value, strict)
    for head, part in inner.items():
        before = own.get(head, getattr(start, head, None))
        if before is None:
            before = _default(known[head])
        if not is_dataclass(before) or isinstance(before, type):
            raise InputError(f"{where}, {head}", "a value", "fields of its own")
        own[head] = _filled(f"{where}, {head}", partial(replace, before), type(before), part, strict, before)
    missing = [name for name, f in known.items() if start is None and _needed(f) and name not in own]
    if missing:
        raise InputError(where, f"a value for {', '.join(missing)}", "none")
    return make(**own)


def _hints(where: str, kind: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind)
    except (NameError, TypeError, AttributeError) as error:
        remedy = "import what they name, not for type checkers alone"
        raise InputError(where, "annotations that can be resolved", str(error), remedy) from error


def _is_listed(hint: Any) -> bool:
    """Whether a field of this type holds a list."""
    return any(typing.get_origin(h) in (tuple, list) for h in (hint, *typing.get_args(hint)))


def _needed(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _typed(where: str, hint: Any, value: Any, strict: bool) -> Any:
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

    if not strict and value in ("none", "None") and type(None) in typing.get_args(hint):
        return None
    listed = _is_listed(hint)
    if isinstance(value, str) and not strict and listed:
        value = tuple(part for part in value.split("+") if part)
    if isinstance(value, list) and listed:
        value = tuple(value)
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a dataclass of somebody's own, with a configuration of its own
        adapter = TypeAdapter(hint)
    try:
        return adapter.validate_python(value, strict=strict)
    except ValidationError as error:
        first = error.errors()[0]
        cause = (first.get("ctx") or {}).get("error")
        if isinstance(cause, InputError):
            raise cause.at(where) from error
        expected = first["msg"].removeprefix("Input should be ")
        raise InputError(where, expected[:1].lower() + expected[1:], repr(value)[:60]) from error


accelerators = Registry(
    "accelerator",
    {
        "isaac": "accel_models.reram.config:isaac",
        "isaac-slc": "accel_models.reram.config:isaac_slc",
        "twos-complement": "accel_models.reram.config:twos_complement",
        "differential": "accel_models.reram.config:differential",
        "analog": "accel_models.reram.analog_config:AnalogConfig",
        "finn": "accel_models.finn.config:FinnConfig",
        "spiking": "accel_models.spiking.config:SpikingConfig",
    },
)
"""Accelerators by name."""
fault_models = Registry(
    "fault model",
    {
        "none": "xbarsim.faults.places:NoFaults",
        "stuck-cells": "xbarsim.faults.stuck_cells:StuckCells",
        "soft-cells": "xbarsim.faults.cell_models:SoftCells",
        "faulty-count": "xbarsim.faults.cell_models:FaultyCount",
        "faulty-rows": "xbarsim.faults.cell_models:FaultyRows",
        "faulty-columns": "xbarsim.faults.cell_models:FaultyColumns",
        "faulty-clusters": "xbarsim.faults.cell_models:FaultyClusters",
        "single": "xbarsim.faults.models:SingleFaults",
        "stuck-activations": "xbarsim.faults.activations:StuckActivations",
        "faulty-neurons": "xbarsim.faults.models:FaultyNeurons",
    },
)
"""Fault models by name."""
detectors = Registry(
    "detector",
    {
        "adversarial": "xbarsim.detection.patterns:AdversarialPatterns",
        "original": "xbarsim.detection.patterns:OriginalImages",
        "march": "xbarsim.detection.march.detector:MarchDetector",
    },
)
"""Detectors by name."""
repairs = Registry(
    "repair",
    {
        "as-it-is": "xbarsim.repair.nothing:AsItIs",
        "refresh": "xbarsim.repair.refresh:Refresh",
        "closest-values": "xbarsim.repair.closest:ClosestValues",
        "retrain": "xbarsim.repair.retrain:Retrain",
    },
)
"""Repairs by name."""
