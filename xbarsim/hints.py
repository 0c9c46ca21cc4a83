"""Checks of what people hand in against the annotations of what takes it.

A front-door function is decorated with `checked`, a dataclass calls `check_fields` first of all: a value of
another kind than its annotation says is refused there, once. Numbers are Python's or numpy's, and finite;
truth values are none. What annotations do not say, ranges and arrays, the function checks itself.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from math import isfinite
from typing import Any, Literal, ParamSpec, TypeVar, Union

from xbarsim.errors import InputError, is_integer, is_number

P = ParamSpec("P")
R = TypeVar("R")
LISTS = (list, tuple, Sequence, Iterable)
_NUMBERS = ((), (int,), (float,), (Any,))


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function, behind a check of its arguments against its annotations.

    >>> @checked
    ... def half(of: float) -> float:
    ...     return of / 2
    >>> half("3")
    Traceback (most recent call last):
    ...
    xbarsim.errors.InputError: of: expected a finite number, got '3'
    """
    by_place, rest = _places_of(function)

    @functools.wraps(function)
    def behind(*args: P.args, **options: P.kwargs) -> R:
        hints = _hints_of(function)
        names = by_place if rest is None else (*by_place, *[rest] * (len(args) - len(by_place)))
        given: Any = [
            admit(name, value, hints[name]) if name in hints else value
            for name, value in zip(names, args, strict=False)
        ]
        if len(args) > len(given):  # too many: the function says so itself
            return function(*args, **options)
        named: Any = {
            name: admit(name, value, hints[name]) if name in hints else value
            for name, value in options.items()
        }
        return function(*given, **named)

    return behind


def _places_of(function: Callable[..., Any]) -> tuple[tuple[str, ...], str | None]:
    """The names of arguments by place, and that of any number of further ones."""
    kinds = inspect.Parameter
    parameters = inspect.signature(function).parameters.values()
    by_place = tuple(
        p.name for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    )
    return by_place, next((p.name for p in parameters if p.kind is kinds.VAR_POSITIONAL), None)


def check_fields(thing: Any, *, unknown: Sequence[str] = ()) -> None:
    """Refuse a dataclass with a field of another kind than its annotation says.

    Parameters
    ----------
    unknown : numbers that may be NaN, where they are not known

    numpy's scalars become Python's, and lists tuples, so that equal things are written and told apart alike.
    """
    kind: Any = type(thing)
    hints = _hints_of(kind)
    for field in fields(thing):
        if not field.init:
            continue
        value = getattr(thing, field.name)
        if field.name in unknown and is_number(value) and value != value:
            continue
        admitted = admit(f"{kind.__name__}.{field.name}", value, hints[field.name])
        if admitted is not value:
            object.__setattr__(thing, field.name, admitted)


def admit(where: str, value: Any, hint: Any) -> Any:
    """Return the value as one of this annotation.

    Raises
    ------
    InputError : a value of another kind.
    """
    admitted = _admitted(value, hint)
    if admitted is _NONE_SUCH:
        raise InputError(where, _in_words(hint), _short(value))
    return admitted


_NONE_SUCH = object()


def _admitted(value: Any, hint: Any) -> Any:
    """The value, or `_NONE_SUCH` if it is of another kind."""
    if type(value) is hint and hint is not float:
        return value
    if hint in _SCALARS:  # first: of long lists, every number comes here
        return _SCALARS[hint](value)
    if hint in (Any, _Unknown) or isinstance(hint, (TypeVar, str, typing.ForwardRef)):
        return value
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        found = (_admitted(value, part) for part in parts)
        return next((one for one in found if one is not _NONE_SUCH), _NONE_SUCH)
    if origin is Literal:
        return next((p for p in parts if isinstance(value, type(p)) and value == p), _NONE_SUCH)
    if (origin or hint) in LISTS:
        return _admitted_list(value, origin or hint, parts)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _admitted_mapping(value, parts)
    if origin is Callable or hint is Callable:
        return value if callable(value) else _NONE_SUCH
    if _is_array(origin) or not isinstance(origin or hint, type):
        return value
    return value if _is_a(value, origin or hint) else _NONE_SUCH


def _is_a(value: Any, kind: type) -> bool:
    """Whether it is of a class, or has all that a protocol asks for."""
    if not getattr(kind, "_is_protocol", False):
        return isinstance(value, kind)
    return not isinstance(value, type) and all(hasattr(value, name) for name in _members(kind))


@functools.cache
def _members(protocol: type) -> tuple[str, ...]:
    """The methods that it asks for; properties, which may be made late, are left to who reads them."""
    asking = [vars(kind) for kind in protocol.__mro__ if getattr(kind, "_is_protocol", False)]
    methods = {name for members in asking for name, member in members.items() if inspect.isfunction(member)}
    return tuple(sorted(name for name in methods if not name.startswith("_") or name == "__call__"))


def _admitted_list(value: Any, kind: Any, parts: tuple[Any, ...]) -> Any:
    """Lists with their elements; arrays only where they may stand for a list, which the function checks."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, _asked_for(kind)):
        return value if kind is not tuple and parts in _NUMBERS and hasattr(value, "shape") else _NONE_SUCH
    if not isinstance(value, (list, tuple)):  # as it is: its elements may come only once
        return value if parts in _NUMBERS or not hasattr(value, "shape") else _NONE_SUCH
    if kind is tuple and parts and Ellipsis not in parts:
        if len(parts) != len(value):
            return _NONE_SUCH
        elements = [_admitted(one, part) for one, part in zip(value, parts, strict=True)]
    else:
        elements = [_admitted(one, (*parts, Any)[0]) for one in value]
    if any(one is _NONE_SUCH for one in elements):
        return _NONE_SUCH
    return tuple(elements) if kind is tuple else value


def _asked_for(kind: Any) -> tuple[type, ...]:
    return (list, tuple) if kind is tuple else (kind,)


def _admitted_mapping(value: Any, parts: tuple[Any, ...]) -> Any:
    if not isinstance(value, Mapping):
        return _NONE_SUCH
    for pair in value.items() if parts else ():
        if any(_admitted(one, part) is _NONE_SUCH for one, part in zip(pair, parts, strict=True)):
            return _NONE_SUCH
    return value


def _truth(value: Any) -> Any:
    return bool(value) if isinstance(value, bool) or _is_numpys(value, "bool_") else _NONE_SUCH


def _integer(value: Any) -> Any:
    if not is_integer(value):
        return _NONE_SUCH
    return value.item() if _is_numpys(value, "generic") else value


def _finite(value: Any) -> Any:
    if type(value) is float:
        return value if isfinite(value) else _NONE_SUCH
    try:
        if not is_number(value) or not isfinite(value):
            return _NONE_SUCH
    except OverflowError:  # an integer of more than 308 digits
        return _NONE_SUCH
    return value.item() if _is_numpys(value, "generic") else value


def _text(value: Any) -> Any:
    return str(value) if _is_numpys(value, "str_") else value if isinstance(value, str) else _NONE_SUCH


def _nothing(value: Any) -> Any:
    return None if value is None else _NONE_SUCH


_SCALARS: Mapping[Any, Callable[[Any], Any]] = types.MappingProxyType(
    {bool: _truth, int: _integer, float: _finite, str: _text, type(None): _nothing}
)
_WORDS: Mapping[Any, str] = types.MappingProxyType(
    {bool: "True or False", int: "an integer", float: "a finite number", str: "text", type(None): "None"}
)


def _in_words(hint: Any) -> str:
    """What an annotation asks for, as people say it."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint in _WORDS:
        return _WORDS[hint]
    if origin in (Union, types.UnionType):
        return " or ".join(_in_words(part) for part in parts)
    if origin is Literal:
        return "one of " + ", ".join(sorted(map(str, parts)))
    if (origin or hint) in LISTS:
        whole = [_in_words(part) for part in parts if part is not Ellipsis]
        return "a list of: " + ", ".join(whole) if whole else "a list"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a mapping of " + " to ".join(_in_words(part) for part in parts)
    return f"a {getattr(hint, '__name__', str(hint))}"


def _short(value: Any) -> str:
    """What came, in a few characters: of things with large texts their class."""
    plain = (str, bytes, bool, int, float, complex, list, tuple)
    if value is None or isinstance(value, plain) or _is_numpys(value, "generic"):
        return repr(value)[:60]
    return type(value).__name__


class _AnyPart(type):
    """Every public name of such a class is the class."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return cls


class _Unknown(metaclass=_AnyPart):
    """What a module imports for type checkers alone."""


class _Names(dict[str, Any]):
    """Names of a module; those that it imports for type checkers alone stand for anything."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, _Unknown)


@functools.cache
def _hints_of(thing: Any) -> dict[str, Any]:
    """The annotations of a function's arguments or a class's fields."""
    if not isinstance(thing, type):
        thing = inspect.unwrap(thing)
        return typing.get_type_hints(thing, localns=_Names(thing.__globals__))
    found: dict[str, Any] = {}
    for kind in reversed(thing.__mro__):
        names = _Names(vars(sys.modules[kind.__module__]))
        own = types.SimpleNamespace(__annotations__=dict(vars(kind).get("__annotations__", {})))
        found |= typing.get_type_hints(own, globalns=names, localns=names)
    return found


def _is_numpys(value: object, name: str) -> bool:
    """Whether a value is of one of numpy's classes; numpy, which takes long to load, is not loaded for it."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, getattr(numpy, name))


def _is_array(kind: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and kind is numpy.ndarray
