"""The program `xbarsim`: subcommands, and one line for every mistake.

Subcommands import what they need when they run, so that `xbarsim --help` answers at once.
"""

from __future__ import annotations

import io
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import typer

from xbarsim import __version__, stops
from xbarsim.cli import (
    campaign,
    demo,
    detect,
    faults,
    inspect,
    march,
    repair,
    report,
    simulate,
    study,
    train,
)
from xbarsim.cli import list as names
from xbarsim.errors import InputError

app = typer.Typer(
    name="xbarsim",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
INTERRUPTED = 130
FIELD = re.compile(r"[\w.]+|[a-z]+( [a-z]+)*")
COMMANDS = (simulate, detect, repair, train, inspect, report, names, demo)
for module in COMMANDS:
    app.command(module.__name__.rpartition(".")[2])(module.run)
app.command("retrain", hidden=True)(repair.run)  # what it was called
for what in ("networks", "accelerators"):
    app.command(what, hidden=True)(names.only(what))
app.add_typer(faults.app, name="faults")
app.add_typer(march.app, name="march")
app.add_typer(study.app, name="study")
app.add_typer(campaign.app, name="campaign")


@app.callback(invoke_without_command=True)
def top_level(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    """Neural networks on imperfect accelerators: what faults do, how to find them, how to survive them."""
    if version or context.invoked_subcommand is None:
        typer.echo(__version__ if version else context.get_help())
        raise typer.Exit


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the program; bad input ends with one line on standard error and exit code 2.

    With arguments, the process goes on where it was called, after a SystemExit.
    """
    if arguments is None:
        stops.run_program(partial(run_command, None))
    with stops.installed():
        code = stops.obeyed(partial(run_command, arguments))
    sys.exit(code)


def run_command(arguments: list[str] | None) -> int:
    """Run a command, that of the command line by default, and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without ⇑ shows a question mark
    try:
        with _warnings_in_a_line():
            code = app(args=arguments, prog_name="xbarsim", standalone_mode=False)
        if sys.stdout is not None:  # closed by whoever began us
            sys.stdout.flush()
    except Exception as error:
        if stops.caused(error):
            raise
        return _told(error, sys.argv[1:] if arguments is None else arguments)
    if code == INTERRUPTED:  # what the command line's library makes of an interrupt
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Show what a warning says, and not which line of ours gave it."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"xbarsim: {' '.join(str(message).split())}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def _told(error: Exception, arguments: Sequence[str]) -> int:
    """Say in one line what went wrong; the exit code. Other errors are ours, and raised again."""
    if isinstance(error, InputError):
        return _fail(str(_with_flag(error, arguments)))
    if isinstance(error, typer.TyperException):
        return _fail(f"command line: {error.format_message().rstrip('.')}; see 'xbarsim --help'")
    if isinstance(error, typer.Abort):  # the end of what is typed
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # the reader has seen enough; nothing may be flushed into the closed pipe at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    if isinstance(error, (OSError, MemoryError)):
        return _fail(f"system: expected to go on, got {error!r}; free some space, memory or permissions")
    raise error


FIELDS = {  # whose options have other names
    "trials": "chips",
    "age_s": "age",
    "number_of_images": "images",
    "fault_model": "faults",
    "detector": "detectors",
    "protected_channels": "protect",
    "repair": "repairs",
    "stopping_rule": "until",
    "trusted": "trust_scheduler",
    "wait_for_workers_s": "wait_for_workers",
}


def _with_flag(error: InputError, arguments: Sequence[str]) -> InputError:
    """Return the mistake at the option of the given command that sets the field where it is, if one does."""
    if not FIELD.fullmatch(error.where):
        return error
    field = error.where.rpartition(".")[2].replace(" ", "_")
    flags = _flags(arguments)
    flag = flags.get(field) or flags.get(FIELDS.get(field, ""))
    return error if flag is None else InputError(flag, error.expected, error.got, error.remedy)


def _flags(arguments: Sequence[str]) -> dict[str, str]:
    """The options of the command that these words name, by the name of their parameter."""
    command: Any = typer.main.get_command(app)
    for word in arguments:
        if word not in getattr(command, "commands", {}):
            break
        command = command.commands[word]
    found = {}
    for option in command.params:
        long = [flag for flag in option.opts if flag.startswith("--")]
        if long:
            found[option.name] = long[0]
    return found


def _fail(message: str) -> int:
    print("xbarsim: " + " ".join(message.split()), file=sys.stderr)
    return 2
