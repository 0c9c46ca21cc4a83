"""Every name of the front door takes what is right, says what is wrong, and never answers with nonsense.

Generated: a good call of every name, and one argument after the other replaced by what is wrong, doubtful or
the same in other words. A new name without a good call fails.
"""

import warnings
from pathlib import Path

import pytest

import xbarsim as xb
from tests.helpers.good_calls import NO_CALLS, good_calls, write_files
from tests.helpers.wrong_values import alike, doubtful, wrong
from xbarsim.digests import content_digest

NAMES = tuple(good_calls(Path()))
CALLED = {name.partition(".")[0] for name in NAMES}


@pytest.fixture(scope="module")
def makers(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = tmp_path_factory.mktemp("good")
        write_files(folder)
        return good_calls(folder)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_every_name_has_a_good_call_or_a_reason():
    assert set(xb.__all__) - CALLED - set(NO_CALLS) == set()


@pytest.mark.parametrize("name", NAMES)
def test_wrong_arguments_are_refused_in_one_line(makers, name):
    make, taken = makers[name], []
    for argument, what, value in _changes(make(), wrong):
        outcome = _outcome(make, argument, value)
        if not _is_refusal(outcome):
            taken.append((argument, what, outcome))
    assert taken == []


@pytest.mark.parametrize("name", NAMES)
def test_doubtful_arguments_are_taken_or_refused_in_one_line(makers, name):
    make, raised = makers[name], []
    for argument, what, value in _changes(make(), doubtful):
        outcome = _outcome(make, argument, value)
        if isinstance(outcome, BaseException) and not _is_refusal(outcome):
            raised.append((argument, what, outcome))
    assert raised == []


@pytest.mark.parametrize("name", NAMES)
def test_the_same_in_other_words_gives_the_same(makers, name):
    make, others = makers[name], []
    good = _digest(make().run())
    for argument, what, value in _changes(make(), alike):
        outcome = _outcome(make, argument, value)
        if isinstance(outcome, BaseException) or _digest(outcome) != good:
            others.append((argument, what, outcome))
    assert others == []


@pytest.mark.parametrize("name", NAMES)
def test_unknown_arguments_are_pythons_own_mistake(makers, name):
    with pytest.raises((TypeError, xb.InputError)):  # columns of fault tables are checked as data
        makers[name]().run(no_such_argument=1)


def _changes(call, values_of):
    """Every argument with every value: (argument, what the value is called, value)."""
    for argument, good in call.arguments.items():
        for what, value in values_of(good) if argument not in call.kept else ():
            if what not in call.kept and not (what == "no name" and argument in call.texts):
                yield argument, what, value


def _outcome(make, argument, value):
    """What a call gives, or raises."""
    try:
        return make().run(**{argument: value})
    except Exception as error:
        return error


def _is_refusal(outcome):
    return isinstance(outcome, xb.InputError) and "\n" not in str(outcome)


def _digest(result):
    """Of a result that has contents; others, as modules, are only made."""
    try:
        return content_digest(result)
    except xb.InputError:
        return None
