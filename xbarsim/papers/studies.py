"""The studies by name: where each is, and what it is, so that a list of them imports nothing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from xbarsim.errors import check_choice

if TYPE_CHECKING:
    from xbarsim.papers.study import Study


class Entry(NamedTuple):
    """A study's place, as 'module:NAME', a line about it, and whether it takes other boards."""

    place: str
    about: str
    takes_boards: bool = False


STUDIES = {
    "fat-table1": Entry(
        "fat:TABLE_1", "FAT, Table I and Fig. 3: every channel of cnvW1A1 stuck at -1 and at +1.", True
    ),
    "fat-table2": Entry(
        "fat_training_tables:TABLE_2", "FAT, Table II: standard training against FAT, stuck channels."
    ),
    "fat-table3": Entry(
        "fat_training_tables:TABLE_3", "FAT, Table III: FAT against Dropout2D, stuck channels."
    ),
    "fat-table4": Entry(
        "fat_training_tables:TABLE_4", "FAT, Table IV: standard, FAT and Dropout2D, stuck pixels."
    ),
    "fat-fig9": Entry(
        "fat:FIGURE_9", "FAT, Fig. 9: worst-case error against cost with channels replicated.", True
    ),
    "stochastic-table1": Entry("stochastic:TABLE_1", "Wang et al., Table I: accuracy on faulty chips."),
    "stochastic-table2": Entry("stochastic:TABLE_2", "Wang et al., Table II: Stability Scores."),
    "rramedy-fig11": Entry("rramedy:FIGURE_11", "RRAMedy, Fig. 11: what fault-masking retraining retrieves."),
    "spiking-table3": Entry("spiking:TABLE_3", "Spiking paper, Table 3: accuracy without faults."),
    "spiking-table4": Entry("spiking:TABLE_4", "Spiking paper, Table 4: accuracy with faulty neurons."),
    "spiking-fig3": Entry("spiking:FIGURE_3", "Spiking paper, Fig. 3: chip by chip, with Table 4."),
    "spiking-table5": Entry(
        "spiking_times:TABLE_5", "Spiking paper, Table 5: time to accuracy, NASF, FIR 0.03."
    ),
    "spiking-table6": Entry(
        "spiking_times:TABLE_6", "Spiking paper, Table 6: time to accuracy, NASF, FIR 0.05."
    ),
    "spiking-table7": Entry(
        "spiking_times:TABLE_7", "Spiking paper, Table 7: time to accuracy, HSF, FIR 0.03."
    ),
    "spiking-table8": Entry(
        "spiking_times:TABLE_8", "Spiking paper, Table 8: time to accuracy, HSF, FIR 0.05."
    ),
    "spiking-rules": Entry(
        "spiking_rules:RULES", "Spiking paper, Algorithm 1: its rules and random perturbations."
    ),
    "spiking-tests": Entry(
        "spiking_tests:TESTS", "Test sets for spiking chips: patterns and repetitions, 1 % false alarms."
    ),
    "aft-table1": Entry("adversarial:TABLE_1", "Adversarial features, Table I: Tikhonov's strength."),
    "aft-table2": Entry(
        "adversarial:TABLE_2", "Adversarial features, Table II: accuracy and generalisation error."
    ),
    "aft-fig3": Entry(
        "adversarial:FIGURE_3", "Adversarial features, Fig. 3: stuck-at-0 faults, regularised or not."
    ),
    "aft-fig7": Entry(
        "adversarial:FIGURE_7", "Adversarial features, Fig. 7: stuck-at-0 faults, all methods."
    ),
}


def study(name: str) -> Study:
    """Return a study by name; refuses an unknown one."""
    check_choice("study", name, STUDIES)
    module, _, attribute = STUDIES[name].place.partition(":")
    return getattr(importlib.import_module(f"xbarsim.papers.{module}"), attribute)
