"""Estimates over a column of numbers."""

import pytest

from tests.helpers.statuses import status
from xbarsim.errors import InputError
from xbarsim.report.curves import curve_figure, lines_over

RATE = "faults.rate"


def rated(number, rate, **changes):
    return status(
        number, faults={"name": "stuck-cells", "rate": rate, **changes.pop("faults", {})}, **changes
    )


def drawn(figure):
    """Names and points of the lines."""
    axes = figure.axes[0]
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines if len(line.get_xydata()) > 1}


def test_points_are_means_in_percent_in_the_order_of_x():
    tasks = [rated(1, 0.02, mean=0.5), rated(2, 0.01, mean=0.75)]
    (points,) = drawn(curve_figure(tasks, x=RATE)).values()
    assert points == [[1.0, 75.0], [2.0, 50.0]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"repair": {"name": "retrain"}}, "retrain"),
        ({"accelerator": "other"}, "other"),
        ({"network": "lenet"}, "lenet"),
        ({"faults": {"mix": "even"}}, "even"),
        ({"seed": 2}, "seed 2"),
        ({"images": 3}, "images 3"),
        ({"weights": "ab"}, "weights ab"),
        ({"hardware": "bc"}, "hardware bc"),
    ],
)
def test_lines_say_what_they_differ_in(change, words):
    tasks = [rated(n, rate) for n, rate in enumerate((0.01, 0.02))]
    tasks += [rated(2 + n, rate, **change) for n, rate in enumerate((0.01, 0.02))]
    lines = lines_over(tasks, RATE)
    assert len(lines) == 2 and all(len(line) == 2 for line in lines.values())
    assert any(words in name for name in lines)


def test_repairs_of_the_same_words_stay_lines_of_their_own():
    tasks = [
        rated(
            2 * n + m,
            rate,
            repair={"name": "kick", "strength": strength},
            facts={"words": {"repair": "kick"}},
        )
        for n, strength in enumerate((0.7, 0.7000001))
        for m, rate in enumerate((0.01, 0.02))
    ]
    lines = lines_over(tasks, RATE)
    assert {name: len(line) for name, line in lines.items()} == {
        "kick, repair.strength 0.7": 2, "kick, repair.strength 0.7000001": 2
    }  # fmt: skip


def test_lines_are_named_by_the_columns_that_are_wanted():
    tasks = [
        rated(n, rate, repair={"name": name})
        for n, (name, rate) in enumerate((r, x) for r in "ab" for x in (0.01, 0.02))
    ]
    assert list(lines_over(tasks, RATE, by=("repair",))) == ["a", "b"]
    assert list(drawn(curve_figure(tasks, x=RATE, by=["repair"]))) == ["a", "b"]


def test_one_line_among_others_needs_no_numbers():
    lines = lines_over([rated(1, 0.01), rated(2, 0.02), status(3, faults={"name": "none"})], RATE)
    assert sum(map(len, lines.values())) == 2


def test_columns_without_numbers_are_refused():
    tasks = [rated(1, 0.01), rated(2, 0.02)]
    for x, words in (
        ("repair", "numbers that differ"),
        ("rate", "column: expected one of"),
        ("seed", "numbers that"),
    ):
        with pytest.raises(InputError, match=words):
            curve_figure(tasks, x=x)


def test_one_of_several_metrics_has_to_be_chosen():
    tasks = [
        rated(1, 0.01),
        rated(2, 0.02),
        rated(3, 0.01, metric="detection"),
        rated(4, 0.02, metric="detection"),
    ]
    with pytest.raises(InputError, match="metric: expected one of accuracy, detection, got none; choose one"):
        curve_figure(tasks, x=RATE)
    with pytest.raises(InputError, match="metric: expected one of accuracy, detection, got 'speed'"):
        curve_figure(tasks, x=RATE, metric="speed")
    figure = curve_figure(tasks, x=RATE, metric="detection")
    assert figure.axes[0].get_ylabel() == "detection [%]" and figure.axes[0].get_xlabel() == "faults.rate [%]"


def test_wide_columns_without_a_zero_are_logarithmic():
    for rates, scale in (((0.01, 0.1), "log"), ((0.01, 0.02), "linear"), ((0.0, 0.1), "linear")):
        figure = curve_figure([rated(n, rate) for n, rate in enumerate(rates)], x=RATE)
        assert figure.axes[0].get_xscale() == scale
