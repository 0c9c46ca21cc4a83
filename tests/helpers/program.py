"""The program `xbarsim` from outside, in the process of the tests."""

import json

import pytest

from xbarsim.cli.app import main


def run(capsys, *arguments):
    """Exit code, standard output and standard error of the program."""
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def document(capsys, *arguments):
    """The JSON document of a command that ends well; one that takes long says on standard error how far it is."""
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


def run_well(capsys, *arguments):
    """Standard output of a command that ends well."""
    code, out, err = run(capsys, *arguments)
    assert code == 0, err
    return out
