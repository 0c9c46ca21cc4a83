"""Where the program begins: Ctrl-C is handled before anything slow is imported."""

from __future__ import annotations

from typing import NoReturn

from xbarsim import stops


def main() -> NoReturn:
    """Run the program; a stop ends it within two seconds, with one line and the shell's exit code."""
    stops.run_program(_command)


def _command() -> int:
    from xbarsim.cli.app import run_command

    return run_command(None)
