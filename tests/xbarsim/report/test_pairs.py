"""Repairs held against one of them, chip by chip."""

import pandas as pd
import pytest

from tests.helpers.statuses import status
from xbarsim.errors import InputError
from xbarsim.metrics.intervals import paired_difference
from xbarsim.report.pairs import pair_table, paired, repair_name
from xbarsim.report.results import read_results


def repaired(number, **fields):
    return status(number, repair=fields)


def trials(**hits):
    rows = [
        {"task": status(int(name[1:])).key, "trial": trial, "hits": found, "shots": 10}
        for name, values in hits.items()
        for trial, found in enumerate(values)
        if found is not None
    ]
    return pd.DataFrame(rows)


PLAIN, CLOSE = repaired(1, name="as-it-is"), repaired(2, name="closest-values")
ONE, THREE = (repaired(n, name="retrain", epochs=n) for n in (3, 4))


def test_gains_are_of_the_same_chips():
    (found,) = paired([PLAIN, CLOSE], trials(t1=[5, 6, 7, 9], t2=[7, 7, None, 9]))
    assert found.task is CLOSE and found.chips == 3
    assert found.gain == paired_difference([0.7, 0.7, 0.9], [0.5, 0.6, 0.9])


def test_those_of_a_campaign_are_those_of_its_trials(store):
    results = read_results(store)
    found = paired(results.tasks, results.trials)
    assert len(found) == 4
    for pair in found:
        of = {
            "accelerator": pair.task.description["accelerator"],
            "faults__rate": pair.task.description["faults"]["rate"],
        }
        after, before = (
            (results.where(metric="accuracy", repair=name, **of).trials["hits"] / 40).tolist()
            for name in ("closest-values", "as-it-is")
        )
        assert pair.gain == paired_difference(after, before) and pair.chips == 4


def test_what_differs_in_more_than_the_repair_is_no_pair():
    other = status(2, repair={"name": "closest-values"}, seed=2)
    assert paired([PLAIN, other], trials(t1=[5, 6], t2=[7, 7])) == []
    assert paired([CLOSE], trials(t2=[7, 7])) == []


def test_another_repair_can_be_held_against():
    frame = trials(t1=[5, 6], t2=[7, 8], t3=[9, 9])
    found = paired([PLAIN, CLOSE, ONE], frame, against="closest-values")
    assert [pair.task for pair in found] == [PLAIN, ONE]
    assert found[0].gain.value == pytest.approx(-0.2)
    with pytest.raises(InputError, match="repair to compare with: expected one of as-it-is, closest-values"):
        paired([PLAIN, CLOSE], frame, against="retrain")


def test_several_of_one_name_are_not_chosen_among():
    frame = trials(t1=[5, 6], t3=[9, 9], t4=[8, 8])
    assert len(paired([PLAIN, ONE, THREE], frame)) == 2
    with pytest.raises(InputError, match="expected one repair of that name, got 2 of 'retrain'"):
        paired([PLAIN, ONE, THREE], frame, against="retrain")


def test_the_table_says_points_and_which_repair():
    found = paired([PLAIN, ONE, THREE], trials(t1=[5, 6], t3=[9, 9], t4=[8, 8]))
    table = pair_table(found)
    assert table.columns[-4:] == ("gain [points]", "from", "to", "chips")
    assert [row[-4] for row in table.rows] == ["+35.00", "+25.00"]
    assert len({row[:-4] for row in table.rows}) == 2
    assert pair_table([]).rows == ()


def test_names_of_repairs():
    assert repair_name(ONE) == "retrain"
    assert repair_name(status(repair=None)) == "" and repair_name(status(repair="old")) == "old"
