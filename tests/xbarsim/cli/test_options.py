"""Options that several commands share: the same spelling everywhere, and words that are true."""

import re

import pytest
import typer

from xbarsim.cli import options
from xbarsim.cli.app import app
from xbarsim.registry import detectors, fault_models, repairs

SHARED = ("network", "weights", "data", "accelerator", "faults", "fault_map", "images", "plugin", "store", "workers")


def leaves(command, name=""):
    """Every command with its full name."""
    if not hasattr(command, "commands"):
        return {name: command}
    return {k: v for word, sub in command.commands.items() for k, v in leaves(sub, f"{name} {word}".strip()).items()}


COMMANDS = leaves(typer.main.get_command(app))


@pytest.mark.parametrize("name", ["simulate", "detect", "repair"])
def test_commands_that_study_chips_take_the_same_options(name):
    own = {option.name: option.opts for option in COMMANDS[name].params}
    assert set(SHARED) <= set(own)
    assert {n: own[n] for n in SHARED} == {o.name: o.opts for o in COMMANDS["simulate"].params if o.name in SHARED}


def test_every_option_has_a_long_spelling_and_words():
    for name, command in COMMANDS.items():
        for option in command.params:
            if option.param_type_name == "option":
                assert any(re.fullmatch(r"--[a-z][a-z-]*", flag) for flag in option.opts), (name, option.name)
            if not getattr(option, "hidden", False) and option.name != "help":
                assert option.help, (name, option.name)


def test_no_short_spelling_means_two_things_in_a_command():
    for name, command in COMMANDS.items():
        flags = [flag for option in command.params for flag in option.opts]
        assert len(flags) == len(set(flags)), name


def test_helps_list_the_names_there_are():
    for annotated, registry in (
        (options.Faults, fault_models), (options.Detectors, detectors), (options.Repairs, repairs)
    ):  # fmt: skip
        (option,) = annotated.__metadata__
        for name in registry.names:
            assert name in option.help
