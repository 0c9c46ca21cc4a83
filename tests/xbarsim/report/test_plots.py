"""Figures: what is drawn is what was given, and names are shown as they are."""

import numpy as np
import pytest
from matplotlib.image import imread

from xbarsim.errors import InputError
from xbarsim.metrics.intervals import Estimate
from xbarsim.report.plots import (
    accuracy_curves,
    chip_accuracies,
    chip_lines,
    cost_fronts,
    fault_accuracies,
    latency_bars,
    loss_curves,
    rate_bars,
    roc_curves,
    save_figure,
    trade_offs,
)

RATES, SHARES = np.array([0.01, 0.1]), np.array([90.0, 60.0])
FIGURES = {
    "chips": lambda: chip_accuracies({"as it is": [0.5, 0.75], "retrained": [0.9]}, healthy=0.95, title="t"),
    "rates": lambda: rate_bars({"1 %": {"a": Estimate(0.5, 0.4, 0.7)}}, ylabel="found", title="t"),
    "latencies": lambda: latency_bars({"march": {"rows": 2e3}, "images": {"isaac": 5e4}}, title="t"),
    "faults": lambda: fault_accuracies({"-1": (np.array([0, 1]), SHARES)}, error_free=95, title="t"),
    "fronts": lambda: cost_fronts({"a": (np.array([1.0, 2]), SHARES)}, xlabel="cost", title="t"),
    "trade-offs": lambda: trade_offs(
        {"a": (1, 2), "b": (2, 1)}, xlabel="x", ylabel="y", title="t", front="ab"
    ),
    "curves": lambda: accuracy_curves({"a": (RATES, SHARES, SHARES - 5, SHARES + 5)}, xlabel="r", title="t"),
    "losses": lambda: loss_curves(np.arange(3), {"a": np.ones(3), "b": np.ones(3)}, title="t"),
    "lines": lambda: chip_lines({"1 %": {"a": [0.5, 0.6]}, "2 %": {"a": [0.4, 0.3]}}, title="t"),
    "roc": lambda: roc_curves({"a": (np.array([0, 1]), np.array([0.5, 1]))}, title="t"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_shows_something(name, tmp_path):
    figure = FIGURES[name]()
    assert figure._suptitle.get_text() == "t"
    assert imread(save_figure(figure, tmp_path / "a.png")).std() > 0.01


def test_dots_and_bars_stand_where_the_numbers_are():
    dots = FIGURES["chips"]().axes[0]
    assert sorted(dots.collections[0].get_offsets()[:, 1]) == [50, 75]
    assert [label.get_text() for label in dots.get_xticklabels()] == ["as it is", "retrained"]
    (bar,) = FIGURES["rates"]().axes[0].patches
    assert bar.get_height() == 50
    assert [patch.get_width() for patch in FIGURES["latencies"]().axes[0].patches] == [2, 50]
    assert FIGURES["roc"]().axes[0].lines[0].get_ydata().tolist() == [50, 100]
    assert FIGURES["curves"]().axes[0].get_xscale() == "log"


def test_one_series_alone_needs_no_legend_and_two_do():
    def legends(series):
        groups = {"1 %": {name: Estimate(0.5, 0.4, 0.7) for name in series}}
        return rate_bars(groups, ylabel="found", title="t").axes[0].get_legend()

    assert legends("a") is None
    assert [text.get_text() for text in legends("ab").get_texts()] == ["a", "b"]


def test_long_names_stand_below_in_a_higher_figure():
    short, long = (
        accuracy_curves({name: (RATES, SHARES, SHARES, SHARES)}, xlabel="r", title="t")
        for name in ("a", "a" * 60)
    )
    assert short.axes[0].get_legend() is not None and not short.legends
    assert long.axes[0].get_legend() is None and len(long.legends) == 1
    assert long.get_figheight() > short.get_figheight()


def test_dollars_are_no_formulas(tmp_path):
    figure = cost_fronts({"a$_{b$": (RATES, SHARES)}, xlabel="cost", title="$\\x$")
    assert save_figure(figure, tmp_path / "a.svg").stat().st_size > 1000


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a place that can be written"):
        save_figure(FIGURES["rates"](), tmp_path / "file" / "a.png")
