"""What a study is run with, and what is shown of it."""

from pathlib import Path

import pytest

from xbarsim.errors import InputError
from xbarsim.papers.study import BUDGETS, Settings, Shown


def test_settings_have_the_middle_budget_and_no_boards():
    settings = Settings()
    assert (settings.budget, settings.folder, settings.seed, settings.boards) == (
        "cpu",
        Path("trained"),
        0,
        (),
    )
    assert [Settings(budget=name).budget for name in BUDGETS] == ["smoke", "cpu", "full"]


def test_unknown_budgets_are_refused():
    with pytest.raises(InputError, match="budget: expected one of cpu, full, smoke, got 'huge'"):
        Settings(budget="huge")


def test_what_is_shown_has_figures_and_files_of_its_own():
    one, other = Shown(results={}, tables=[]), Shown(results={}, tables=[])
    assert one.figures == one.files == {} and one.figures is not other.figures
