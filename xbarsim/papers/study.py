"""What a published table or figure is here: tasks, and what is shown of their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbarsim.campaigns.task import Task
from xbarsim.errors import check_choice
from xbarsim.report.results import Results
from xbarsim.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUDGETS = ("smoke", "cpu", "full")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a study is run.

    Parameters
    ----------
    budget : 'smoke' (a minute), 'cpu' (two cores, under 40 minutes) or 'full' (the paper's size)
    folder : where trained networks are kept, and found again
    seed : of trainings and of what is drawn
    device : where networks are trained: cpu, cuda or mps
    boards : folders of parameter files or checkpoints of quantized networks, for studies of boards; if empty,
        the paper's own
    """

    budget: str = "cpu"
    folder: Path = Path("trained")
    seed: int = 0
    device: str = "cpu"
    boards: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        check_choice("budget", self.budget, BUDGETS)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is shown of a study's results.

    Attributes
    ----------
    results : for machines
    figures : functions that draw, by file name
    files : functions that write a file to the path they get, by file name
    """

    results: Mapping[str, Any]
    tables: Sequence[Table]
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)
    files: Mapping[str, Callable[[Path], Path]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A published table or figure.

    Attributes
    ----------
    tasks : what is repeated
    show : the tables, the paper's numbers beside ours, with a sentence on whether its claim holds
    seed : that of published results, where no other is asked for
    """

    tasks: Callable[[Settings], list[Task]]
    show: Callable[[Results, Settings], Shown]
    seed: int = 0
