"""Shows docstrings as they are meant: on the API page the house's style is numpy's, and examples are code.

The house writes 'name : what it is', where numpy has a type behind the colon; types stand in signatures here.
Text behind a section, at its indentation and after a blank line, belongs to no section.
"""

import re
from typing import Any

import griffe

EXAMPLE = r"(?P<example>(?:^>>> .*\n(?:(?!\n).+\n?)*)+)"
MARKDOWN = re.compile(EXAMPLE + r"|`[^`\n]+`|(?P<power>(?<=[\w)])\*\*)", re.MULTILINE)
HEADING = re.compile(r"^(\w[\w ]*)\n-+\n", re.MULTILINE)
ITEM = re.compile(r"([*\w]+(?:, [*\w]+)*) : (.*)")
LISTS = ("Parameters", "Attributes", "Raises")


def as_numpy(text: str) -> str:
    """Return a docstring with its sections in numpy's style, and headings over the text behind them."""
    plain, *rest = HEADING.split(text)
    parts = [plain.rstrip()]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        own, behind = (body, "") if title == "Examples" else _without_text_behind(body.strip("\n"))
        parts.append(_section(title, _items(title, own.strip("\n"))))
        if behind:
            parts.append(_text_behind(behind))
    return "\n\n".join(parts) + "\n"


def _without_text_behind(body: str) -> tuple[str, str]:
    """A section's own lines, and the paragraphs from the first that is none of its items on."""
    own, *others = body.split("\n\n")
    for place, paragraph in enumerate(others):
        if not paragraph.startswith(" ") and not ITEM.match(paragraph):
            return "\n\n".join([own, *others[:place]]), "\n\n".join(others[place:])
    return body, ""


def _items(title: str, body: str) -> str:
    """A section's lines in numpy's style."""
    found = [(ITEM.match(item), item) for item in re.split(r"\n(?=\S)", body)]
    if title == "Returns" and not all(match for match, _ in found):
        return "\n".join([":", *(f"    {line}" for line in body.split("\n"))])
    if title != "Returns" and title not in LISTS:
        return body
    return "\n".join(_item(title, match, item) if match else item for match, item in found)


def _item(title: str, match: re.Match[str], item: str) -> str:
    """A name and what it is; numpy's attributes have an item each."""
    names = match[1].split(", ") if title == "Attributes" else [match[1]]
    colon = " :" if title == "Returns" else ""
    return "\n".join(f"{name}{colon}\n    {item[match.start(2) :]}" for name in names)


def _text_behind(text: str) -> str:
    """Examples, sources and notes, each below a heading."""
    source = re.match(r"Sources?: ", text)
    if source is None:
        return _section("Examples" if text.startswith(">>> ") else "Notes", text)
    words, _, more = text[source.end() :].partition("\n\n")
    return "\n\n".join([_section("Source", words), *([_text_behind(more)] if more else [])])


def _section(title: str, body: str) -> str:
    return f"{title}\n{'-' * len(title)}\n{body}"


def as_markdown(text: str) -> str:
    """Return a docstring with a fence around every example; a power is no bold text."""
    return MARKDOWN.sub(_marked, text)


def _marked(match: re.Match[str]) -> str:
    if match["example"]:
        return f"```pycon\n{match[0].rstrip()}\n```\n"
    return r"\*\*" if match["power"] else match[0]


class HouseStyle(griffe.Extension):
    """Rewrites every docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring is None:
            return
        text = obj.docstring.value
        if isinstance(obj, griffe.Class) and not obj.parameters:  # its fields are its only signature
            text = text.replace("Parameters\n----------\n", "Attributes\n----------\n")
        obj.docstring.value = as_markdown(as_numpy(text))
