"""Running the program as a user does."""

import json

import pytest

from xbarsim.cli.app import main


def run(capsys, *arguments):
    """Exit code, standard output and standard error of the program."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def run_well(capsys, *arguments):
    """Standard output of a command that ends well."""
    code, out, err = run(capsys, *arguments)
    assert code == 0, err
    return out


def document(capsys, *arguments):
    """The JSON document of a command that ends well: nothing else is on standard output."""
    return json.loads(run_well(capsys, *arguments, "--json"))


def one_line(capsys, *arguments):
    """The one line with which a command refuses bad input."""
    code, out, err = run(capsys, *arguments)
    assert code == 2, (out, err)
    assert out == "" and err.startswith("xbarsim: ") and err.count("\n") == 1, err
    return err
