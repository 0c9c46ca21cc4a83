"""The library names fields; command-line flags are the command line's."""

import re

from tests.helpers.tree import ROOT, project_modules

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def test_no_flag_outside_the_command_line():
    found = [
        f"{name}: {match[0]}"
        for name, path in project_modules().items()
        if not name.startswith("xbarsim.cli")
        for match in FLAG.finditer(path.read_text())
    ]
    assert not found, found


def test_flags_are_found():
    assert FLAG.findall("say which with '--network', or --out; a -- b") == ["--network", "--out"]
    assert ROOT.joinpath("xbarsim", "cli").is_dir()
