import numpy as np
import pytest

from xbarsim.errors import (
    InputError,
    check_choice,
    check_int,
    check_number,
    check_positive,
    check_rate,
    printable,
)


def test_error_says_where_expected_got_and_remedy_in_one_line():
    error = InputError("AdcConfig.bits", "1..24", "forty\nbits", "choose fewer")
    assert str(error) == "AdcConfig.bits: expected 1..24, got forty bits; choose fewer"


@pytest.mark.parametrize("code", [0, 7, 0x1B, 0x7F, 0x9B, 0x200B, 0x202E, 0xDCFF, 0xE000])
def test_what_steers_a_terminal_is_shown(code):
    letter = chr(code)
    for text in (printable(f"a{letter}[31mb"), str(InputError(f"file {letter}", "e", letter, letter))):
        assert letter not in text and letter.encode("unicode_escape").decode() in text


def test_text_of_any_length_ends():
    assert len(printable("x" * 10**7)) <= 1000 and printable("x" * 10**7).endswith("(10,000,000 characters)")
    assert len(str(InputError("w" * 10**5, "e" * 10**5, "g" * 10**5, "r" * 10**5))) < 3000
    assert printable("ä ⇑  2 × 3") == "ä ⇑  2 × 3" and printable("two\r\n lines") == "two lines"


@pytest.mark.parametrize("value", [0, 6, 2.0, True, "3", None, np.float32(2)])
def test_check_int_refuses_what_is_not_an_integer_in_range(value):
    with pytest.raises(InputError, match="an integer in 1"):
        check_int("x", value, 1, 5)


def test_check_int_accepts_numpy_integers():
    assert check_int("x", np.uint8(5), 1, 5) == 5


@pytest.mark.parametrize("value", [-0.1, 1.2, float("nan"), "0.5", 10**400, np.float32("nan")])
def test_check_rate_refuses_what_is_not_a_probability(value):
    with pytest.raises(InputError, match="a number in 0"):
        check_rate("rate", value)


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan")])
def test_check_positive_refuses_zero_negative_and_not_finite(value):
    with pytest.raises(InputError, match="finite number above 0"):
        check_positive("x", value)


CHECKS = {
    "int": lambda value: check_int("x", value, 1, 5),
    "number": lambda value: check_number("x", value, 0, 5),
    "rate": lambda value: check_rate("x", value),
    "positive": lambda value: check_positive("x", value),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("value", [1, np.int8(1), np.uint64(1)])
def test_all_checks_take_integers_of_python_and_numpy(check, value):
    found = CHECKS[check](value)
    assert found == 1
    assert type(found) is (int if check == "int" else float)


@pytest.mark.parametrize("check", ["number", "rate", "positive"])
@pytest.mark.parametrize(
    "value", [0.5, np.float16(0.5), np.float32(0.5), np.float64(0.5), np.longdouble(0.5)]
)
def test_checks_of_numbers_take_floats_of_python_and_numpy(check, value):
    found = CHECKS[check](value)
    assert found == 0.5
    assert type(found) is float


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("value", [True, np.True_, None, "1", 1j, [1], np.array([1, 1])])
def test_no_check_takes_truth_values_words_or_lists(check, value):
    with pytest.raises(InputError, match=r"x: expected .* got "):
        CHECKS[check](value)


def test_check_choice_names_the_choices():
    with pytest.raises(InputError, match="one of a, b, got 'c'"):
        check_choice("x", "c", ("b", "a"))
