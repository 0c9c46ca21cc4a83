"""The program `xbarsim`: subcommands, and one line for every mistake.

Subcommands import what they need when they run, so that `xbarsim --help` answers at once.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import typer

from xbarsim import __version__
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


def main(arguments: list[str] | None = None) -> None:
    """Run the program; bad input ends with one line on standard error and exit code 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without ⇑ shows a question mark
    try:
        code = app(args=arguments, prog_name="xbarsim", standalone_mode=False)
        sys.stdout.flush()
    except InputError as error:
        given = sys.argv[1:] if arguments is None else arguments
        sys.exit(_fail(str(_with_flag(error, given))))
    except typer.TyperException as error:
        sys.exit(_fail(f"command line: {error.format_message().rstrip('.')}; see 'xbarsim --help'"))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # the reader has seen enough; nothing may be flushed into the closed pipe at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except (OSError, MemoryError) as error:
        sys.exit(_fail(f"system: expected to go on, got {error!r}; free some space, memory or permissions"))
    sys.exit(code if isinstance(code, int) else 0)


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
