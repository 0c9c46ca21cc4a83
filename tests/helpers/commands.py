"""The program as a user runs it, in this process."""

import json

import pytest

from xbarsim.cli.app import main


def run(capsys, *arguments):
    """Exit code, standard output and standard error."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def document(capsys, *arguments):
    """The JSON document of a command that succeeds; one that takes long tells on standard error how far it is."""
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def refused(capsys, *arguments):
    """The one line of a refused command."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("xbarsim: ") and err.count("\n") == 1
    assert err[:-1].isprintable() and "Traceback" not in err
    return err
