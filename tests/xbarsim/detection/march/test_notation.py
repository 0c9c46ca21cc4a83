import pytest

from xbarsim.detection.march.algorithms import march_tests
from xbarsim.detection.march.notation import parse_march
from xbarsim.errors import InputError


@pytest.mark.parametrize("name", march_tests())
def test_printed_notation_parses_to_the_same_test(name):
    test = march_tests()[name]
    assert parse_march(str(test), name=name) == test
    keyboard = str(test).replace("⇑", "^").replace("⇓", "v").replace("⇕", "|")
    assert parse_march(keyboard, name=name) == test


def test_brackets_around_a_single_operation_and_the_whole_test_are_optional():
    test = parse_march("{⇕w0; ⇑(r0,w1);}")
    assert test == parse_march("|(w0); ^ ( r0 , w1 )")
    assert test.name == "⇕(w0); ⇑(r0,w1)"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "element 1"),
        ("^(r0", "element 1"),
        ("^(r0); (w1)", "element 2"),
        ("^(r0); ^()", "element 2"),
        ("^(r0,x1)", "element 1"),
        ("^(r16)", "element 1"),
        ("^(r-1)", "element 1"),
        ("^(w0)", "reads"),
        ("; ".join(["^(r0)"] * 65), "reads"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text, place):
    with pytest.raises(InputError, match=place):
        parse_march(text)
