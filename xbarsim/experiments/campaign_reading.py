"""Reading a campaign's description from a TOML or YAML file; mistakes are named with their key and line."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from xbarsim.code import is_code
from xbarsim.errors import InputError, check_choice
from xbarsim.experiments.campaign_file import CampaignFile, FaultsChoice, NetworkChoice
from xbarsim.files import read_text
from xbarsim.hints import checked


@checked
def read_campaign(path: str | Path) -> CampaignFile:
    """Read a description; paths in it are taken from its folder.

    Raises
    ------
    InputError : no such file, bad syntax, an unknown key, a bad value; with the key and its line.
    """
    where = Path(path)
    check_choice("campaign file", where.suffix.lower(), (".toml", ".yaml", ".yml"))
    text = read_text(where, str(path), expected="a campaign file")
    content, lines = _parsed(where, text)
    if not isinstance(content, dict):
        raise InputError(str(path), "keys with values", type(content).__name__)
    _place_paths(content, where.parent)
    try:
        return CampaignFile.model_validate(content)
    except ValidationError as error:
        raise _worded(where, error, lines) from error


def _place_paths(content: dict[str, Any], folder: Path) -> None:
    """Take the paths in a description from its folder."""
    choices = content.get("networks")
    if isinstance(choices, list):
        content["networks"] = [_placed_network(choice, folder) for choice in choices]
    named = content.get("accelerators")
    if isinstance(named, list):
        content["accelerators"] = [_placed(words, folder, ".toml") for words in named]


def _placed_network(choice: Any, folder: Path) -> Any:
    if not isinstance(choice, dict):
        return _placed(choice, folder)
    found = {**choice, **{key: _placed(choice[key], folder) for key in ("name", "data") if key in choice}}
    if isinstance(choice.get("weights"), str) and choice["weights"]:
        found["weights"] = str(folder / choice["weights"])
    return found


def _placed(words: Any, folder: Path, suffix: str = "") -> Any:
    """A path that is there, seen from the folder; other words as they are."""
    if not isinstance(words, str) or not words:
        return words
    if is_code(words):
        file, _, name = words.rpartition(":")
        return f"{folder / file}:{name}"
    file_there = os.path.exists(folder / words)  # False, too, for what can be no path
    return (
        str(folder / words) if (words.endswith(suffix) and suffix) or ("/" in words and file_there) else words
    )


LISTS = {"tuple_type": "a list", "too_short": "at least one"}


class _Yaml(yaml.SafeLoader):
    """Plain decimal numbers, each key once, and no aliases: a few lines of them can be gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "aliases are not read", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key that is no word", name.start_mark)
            if name.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name.value!r} stands here again", name.start_mark
                )
            seen.add(name.value)
        return super().construct_mapping(node, deep)


NUMBERS = "-+0123456789."
WORDS = (  # what is no text: the kind, how it looks, how it may begin
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", "[-+]?(0|[1-9][0-9]*)", NUMBERS),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", NUMBERS),
)


def _teach(loader: type[yaml.SafeLoader]) -> None:
    """Give a class resolvers of its own: those of YAML 1.1 read 010 as 8 and 1:30 as 90."""
    loader.yaml_implicit_resolvers = {}
    for kind, words, starts in WORDS:
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{words})$"), list(starts))


_teach(_Yaml)

Lines = dict[tuple[str | int, ...], int]


def _parsed(path: Path, text: str) -> tuple[Any, Lines]:
    kind = "TOML" if path.suffix.lower() == ".toml" else "YAML"
    try:
        if kind == "TOML":
            return tomllib.loads(text), _toml_lines(text)
        return yaml.load(text, Loader=_Yaml), _yaml_lines(text)  # a safe loader
    except (ValueError, TypeError, LookupError, AttributeError, yaml.YAMLError, RecursionError) as error:
        raise InputError(str(path), f"a {kind} file", str(error)) from error


def _worded(path: Path, error: ValidationError, lines: Lines) -> InputError:
    first = error.errors()[0]
    key = tuple(first["loc"])
    known = next((key[:n] for n in range(len(key), 0, -1) if key[:n] in lines), ())
    line = f"{path}, line {lines[known]}" if known else str(path)
    name = ".".join(map(str, key)) or "the file"
    if first["type"] == "extra_forbidden":
        fields = _fields_at(key[:-1])
        return InputError(f"{line}: {name}", f"one of {', '.join(fields)}", "an unknown key")
    cause = (first.get("ctx") or {}).get("error")
    if isinstance(cause, InputError):
        return cause.at(f"{line}: {name}")
    if first["type"] == "missing":
        return InputError(f"{line}: {name}", "a value", "none")
    expected = LISTS.get(first["type"], first["msg"].removeprefix("Input should be "))
    return InputError(f"{line}: {name}", expected, repr(first["input"])[:60])


def _fields_at(key: tuple[str | int, ...]) -> list[str]:
    models: dict[str, type[BaseModel]] = {"networks": NetworkChoice, "faults": FaultsChoice}
    return sorted(models.get(str(key[0]) if key else "", CampaignFile).model_fields)


def _yaml_lines(text: str) -> Lines:
    lines: Lines = {}

    def walk(node: yaml.Node, key: tuple[str | int, ...]) -> None:
        lines.setdefault(key, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                lines[(*key, name.value)] = name.start_mark.line + 1
                walk(value, (*key, name.value))
        elif isinstance(node, yaml.SequenceNode):
            for place, value in enumerate(node.value):
                walk(value, (*key, place))

    root = yaml.compose(text, Loader=_Yaml)
    if root is not None:
        walk(root, ())
    return lines


def _toml_lines(text: str) -> Lines:
    """Where keys and table headers stand; a key inside an inline table is found at the table's line."""
    lines: Lines = {}
    table: tuple[str | int, ...] = ()
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].strip()
        if words.startswith("[[") and words.endswith("]]"):
            name = words[2:-2].strip()
            seen[name] = seen.get(name, -1) + 1
            table = (*name.split("."), seen[name])
            lines[table] = number
        elif words.startswith("[") and words.endswith("]") and "=" not in words and "," not in words:
            table = tuple(words[1:-1].strip().split("."))
            lines[table] = number
        elif "=" in words:
            lines.setdefault((*table, words.split("=")[0].strip().strip("\"'")), number)
    return lines
