"""Trials that two stores count differently."""

import json

import pytest

from xbarsim.campaigns.differences import Difference, refusal

TASK = "0123456789abcdef"


def difference(trial=0, ours=(1, 1), theirs=(1, 1), our_counts=None, their_counts=None):
    def counted(pair, counts):
        return (*pair, None if counts is None else json.dumps(counts))

    return Difference(TASK, trial, counted(ours, our_counts), counted(theirs, their_counts))


@pytest.mark.parametrize(
    "ours, theirs, rounding",
    [
        ({"score": 0.330294057}, {"score": 0.330294166}, True),
        ({"score": 0.330294057}, {"score": 0.3303}, False),
        ({"faults": 3, "score": 0.5}, {"faults": 4, "score": 0.5}, False),
        ({"faults": 1000000}, {"faults": 1000001}, False),  # an integer is exact
        ({"score": 1}, {"score": 1.0}, False),
        ({"score": 0.5}, None, False),
    ],
)
def test_only_floats_that_hardly_differ_differ_by_rounding(ours, theirs, rounding):
    assert difference(our_counts=ours, their_counts=theirs).by_rounding == rounding


def test_columns_are_those_that_differ():
    found = difference(ours=(5, 4), theirs=(5, 3), our_counts={"a": 1, "b": 2.5}, their_counts={"a": 1})
    assert found.columns == {"hits": (4, 3), "counts.b": (2.5, None)}


def test_rounding_is_told_with_trials_columns_and_remedy():
    scores = [{"score": 0.330294057}, {"score": 0.330294166}]
    both = [difference(trial, our_counts=scores[0], their_counts=scores[1]) for trial in (2, 5)]
    words = str(refusal("b.db", both))
    assert "by rounding only: trial 2 of task 01234567 and 1 more, in counts.score" in words
    assert "processor" in words and "\n" not in words


def test_other_counts_go_before_rounding():
    rounded = difference(1, our_counts={"score": 0.3}, their_counts={"score": 0.3 + 1e-9})
    words = str(refusal("b.db", [rounded, difference(4, theirs=(1, 0))]))
    assert "trial 4 of task 01234567, in hits" in words
    assert "other code" in words and "rounding" not in words


def test_many_columns_are_counted():
    ours = {f"c{i}": i for i in range(9)}
    words = str(refusal("b.db", [difference(our_counts=ours)]))
    assert "counts.c4 and 4 more columns" in words
