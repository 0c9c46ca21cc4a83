"""Docstrings of the house are numpy's on the site: types from signatures, text behind sections not lost."""

import logging

import griffe

from tests.helpers.docs import ROOT, docs_module

docstrings = docs_module("docstrings")
api = docs_module("api")
SHOWN = '''
def digitize(column_sum: int, bits: int = 8, *, end: float = 2.0) -> list[int]:
    """Convert sums to codes below 2**bits.

    Parameters
    ----------
    column_sum : (batch, columns), in `cell**2`
    bits, end : resolution,
        and range

    Returns
    -------
    (batch, columns) codes;
    they saturate.

    Raises
    ------
    ValueError : a sum of another kind

    Source: ISAAC, section 5.

    Slow where sums are large.

    >>> 2**3
    8
    """


class Point:
    """A place.

    Parameters
    ----------
    x, y : metres
    """

    x: float = 0.0
    y: int = 0
'''


def sections(name):
    with griffe.temporary_visited_module(SHOWN, extensions=extensions()) as module:
        for member in module.members.values():
            docstrings.HouseStyle().on_object(obj=member)
        return module[name].docstring.parse("numpy")


def extensions():
    return griffe.load_extensions(docstrings.HouseStyle)


def test_sections_have_types_from_signatures_and_the_text_as_description():
    words, parameters, returns, raises, *_ = sections("digitize")
    assert words.value == r"Convert sums to codes below 2\*\*bits."
    assert [(p.name, str(p.annotation), p.description, p.default) for p in parameters.value] == [
        ("column_sum", "int", "(batch, columns), in `cell**2`", None),
        ("bits", "int", "resolution,\nand range", "8"),
        ("end", "int", "resolution,\nand range", "8"),
    ]
    (returned,) = returns.value
    assert (str(returned.annotation), returned.description.strip()) == (
        "list[int]",
        "(batch, columns) codes;\nthey saturate.",
    )
    (raised,) = raises.value
    assert (str(raised.annotation), raised.description.strip()) == ("ValueError", "a sum of another kind")


def test_text_behind_a_section_has_a_heading_of_its_own():
    *_, source, notes = sections("digitize")
    assert (source.title, source.value.description) == ("Source", "ISAAC, section 5.")
    slow = "Slow where sums are large.\n\n```pycon\n>>> 2**3\n8\n```"
    assert (notes.title, notes.value.description) == ("Notes", slow)
    example = docstrings.as_numpy("Add.\n\nRaises\n------\nValueError : none\n\n>>> 1 + 1\n2")
    assert example.endswith("ValueError\n    none\n\nExamples\n--------\n>>> 1 + 1\n2\n")


def test_fields_of_a_class_without_a_constructor_are_attributes():
    _, attributes = sections("Point")
    assert [(a.name, str(a.annotation), a.description.strip()) for a in attributes.value] == [
        ("x", "float", "metres"),
        ("y", "int", "metres"),
    ]


def test_examples_are_code_and_the_rest_is_not():
    text = docstrings.as_markdown("A power a**b.\n\n>>> 2**3\n8\n\nAnd `a**b`.\n")
    assert text == "A power a\\*\\*b.\n\n```pycon\n>>> 2**3\n8\n```\n\nAnd `a**b`.\n"


def test_every_docstring_of_the_page_is_numpys(caplog):
    loader = griffe.GriffeLoader(search_paths=[ROOT], extensions=extensions())
    for package in ("xbarsim", "accel_models", "networks"):
        loader.load(package)
    loader.resolve_aliases(implicit=False, external=False)
    shown = [
        part
        for name, module in api.front_door().items()
        for part in public_parts(loader.modules_collection[f"{module}.{name}"])
    ]
    assert len(shown) > 250
    with caplog.at_level(logging.WARNING, logger="griffe"):
        parsed = [section for part in shown for section in part.docstring.parse("numpy", warnings=True)]
    assert not caplog.messages
    assert sum(section.kind is griffe.DocstringSectionKind.parameters for section in parsed) > 50


def public_parts(thing):
    """A name and what of its members the page shows."""
    thing = thing.final_target if thing.is_alias else thing
    assert thing.docstring is not None, thing.path
    yield thing
    if thing.is_class:
        for member in thing.members.values():
            if not member.name.startswith("_") and not member.is_alias and member.docstring is not None:
                yield from public_parts(member)
