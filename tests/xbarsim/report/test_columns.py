"""What tells tasks apart."""

import pytest

from tests.helpers.statuses import status
from xbarsim.errors import InputError
from xbarsim.report.columns import (
    PARTS,
    check_columns,
    entries,
    numeric,
    part_of,
    told_apart,
    value_of,
    varying,
    words,
)


def faults(**fields):
    return {"name": "stuck-cells", **fields}


def test_entries_have_dots_and_the_seed():
    found = entries(status(seed=7, repair={"name": "retrain", "diagnosis": {"misses": 0.1}}))
    assert found["seed"] == 7 and found["repair.diagnosis.misses"] == 0.1 and found["faults.rate"] == 0.01


def test_a_part_is_told_in_its_own_words_or_by_its_fields():
    plain = status(faults=faults(rate=0.02, mix="even"))
    assert part_of(plain, "faults") == "stuck-cells, rate 0.02, mix even"
    told = status(facts={"words": {"faults": "2 % stuck", "detector": "3 pictures"}})
    assert part_of(told, "faults") == "2 % stuck" and part_of(told, "repair") == "as-it-is"
    assert part_of(told, "measure") == "3 pictures" and part_of(plain, "measure") == "accuracy"
    detection = status(metric="detection", detector={"name": "march", "restore": True})
    assert part_of(detection, "measure") == "march, restore True"
    assert part_of(status(network=None), "network") == ""
    assert part_of(status(facts={"words": 5}), "faults") == "stuck-cells, rate 0.01"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("net", "net"),
        (None, ""),
        (3, "3"),
        ({"rate": 0.5}, "rate 0.5"),
        ({"name": "a", "b": {"c": 1}}, "a, b.c 1"),
    ],
)
def test_words_of_parts(part, expected):
    assert words(part) == expected


def test_values_of_columns():
    task = status()
    assert value_of(task, "faults.rate") == 0.01 and value_of(task, "seed") == 1
    assert value_of(task, "faults") == "stuck-cells, rate 0.01" and value_of(task, "none") is None


def test_columns_that_no_task_has_are_refused():
    check_columns([status()], [*PARTS, "faults.rate", "seed"])
    with pytest.raises(InputError, match=r"column: expected one of network, .*faults.rate.*, got 'rate'"):
        check_columns([status()], ["rate"])


DIFFERENT = [
    {"weights": "ab"},
    {"hardware": "bc"},
    {"seed": 2},
    {"faults": faults(rate=0.0100000001)},
    {"faults": faults(rate=0.01, mix="even")},
    {"repair": {"name": "as-it-is", "diagnosis": {"misses": 0.1}}},
    {"metric": "detection"},
    {"network": "Net"},
    {"images": 3},
]


@pytest.mark.parametrize("change", DIFFERENT, ids=str)
@pytest.mark.parametrize("shown", [(), PARTS, ("faults",)], ids=len)
def test_no_two_tasks_look_the_same(change, shown):
    same = {"words": {"faults": "stuck"}}
    tasks = [status(1, facts=same), status(2, facts=same, **change)]
    apart = told_apart(tasks, shown)
    rows = [
        (*(value_of(task, column) for column in shown), more) for task, more in zip(tasks, apart, strict=True)
    ]
    assert len(set(map(str, rows))) == 2


def test_all_of_many_are_told_apart():
    tasks = [status(n, **change) for n, change in enumerate([{}, *DIFFERENT])]
    apart = told_apart(tasks, PARTS)
    rows = {
        (*(value_of(task, part) for part in PARTS), more) for task, more in zip(tasks, apart, strict=True)
    }
    assert len(rows) == len(tasks)


def test_what_is_told_apart_already_needs_no_more_words():
    tasks = [status(1), status(2, faults=faults(rate=0.02))]
    assert told_apart(tasks, PARTS) == ["", ""]
    assert told_apart([status(1, seed=1), status(2, seed=2)], PARTS) == ["seed 1", "seed 2"]


def test_digests_are_the_last_words():
    tasks = [status(1, weights="aa", images=3), status(2, weights="ab", images=4)]
    assert told_apart(tasks, PARTS) == ["images 3, weights aa", "images 4, weights ab"]


def test_columns_of_numbers_that_differ_come_by_how_many_values_they_have():
    tasks = [
        status(
            n,
            faults=faults(rate=rate, count=n % 2),
            repair={"name": "a", "on": bool(n % 2)},
            seed=n,
            images=n,
        )
        for n, rate in enumerate((0.1, 0.2, 0.3))
    ]
    assert numeric(tasks) == ["faults.rate", "faults.count"]
    assert varying(tasks) == ["seed", "faults.rate", "faults.count", "repair.on", "images"]
