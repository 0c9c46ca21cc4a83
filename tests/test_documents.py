"""Every snippet of README and docs runs and prints what the page says; every example runs."""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from xbarsim.cli.app import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    ROOT.glob("docs/*.md")
)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
SHELL = {"make demo", "make test", "make check", "make bench", "make docs", "make thorough"}
# commands that take minutes run with a smaller budget here
SHORT = {
    "train": ["--epochs", "0", "--train-images", "64", "--images", "50"],
    "simulate": ["--chips", "1", "--images", "50"],
    "detect": ["--chips", "1", "--images", "50"],
    "retrain": ["--chips", "1", "--images", "50", "--train-images", "64"],
    "board": ["--images", "50"],
    "inject": ["--images", "8"],
    "campaign": [],
    "report": [],
    "protect": ["--images", "4"],
    "study": ["--budget", "smoke"],
}


def snippets(*languages):
    found = []
    for page in PAGES:
        for number, match in enumerate(FENCE.finditer(page.read_text())):
            if match[1] in languages:
                found.append(pytest.param(match[1], match[2], match[3], id=f"{page.name}-{number}"))
    return found


def assert_prints(found, expected):
    """Words must match; numbers may differ by a twentieth, or by 3 where they are small counts."""
    words = [NUMBER.sub("#", text).split() for text in (found, expected)]
    assert words[0] == words[1]
    for a, b in zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True):
        assert float(a) == pytest.approx(float(b), rel=0.05, abs=3)


def run_program(arguments):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    return printed.getvalue()


@pytest.mark.parametrize(("language", "code", "output"), snippets("python"))
def test_python_snippet_prints_what_the_page_says(language, code, output, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "snippet", "exec"), {})
    assert_prints(printed.getvalue(), output or "")


@pytest.fixture
def files_of_the_pages(tmp_path):
    """The pages' TOML files, under the names that their first lines say."""
    for parameter in snippets("toml"):
        _, text, _ = parameter.values
        (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text)


@pytest.mark.parametrize(("language", "session", "output"), snippets("console"))
def test_command_prints_what_the_page_says(
    language, session, output, monkeypatch, tmp_path, files_of_the_pages
):
    monkeypatch.chdir(tmp_path)
    for part in session.split("$ ")[1:]:
        command, _, expected = part.partition("\n")
        program, *arguments = shlex.split(command)
        assert program == "xbarsim"
        assert_prints(run_program(arguments), expected)


@pytest.mark.parametrize(("language", "script", "output"), snippets("sh"))
def test_long_commands_run_with_a_smaller_budget(
    language, script, output, request, monkeypatch, tmp_path, files_of_the_pages
):
    monkeypatch.chdir(tmp_path)
    for line in script.strip().splitlines():
        command = line.partition("#")[0].strip()
        if command not in SHELL:
            request.getfixturevalue("data_folder")
            program, *arguments = shlex.split(os.path.expandvars(command))
            assert program == "xbarsim"
            run_program([*arguments, *SHORT[arguments[0]]])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_fence_is_of_a_kind_that_is_run_and_every_link_leads_somewhere(page):
    text = page.read_text()
    kinds = set(re.findall(r"^```(\w+)$", text, re.MULTILINE))
    assert kinds <= {"python", "console", "sh", "text", "toml"}
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*.py")), ids=lambda p: p.stem)
def test_example_runs(example, tmp_path):
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) >= 3


def test_make_targets_that_the_pages_name_exist():
    makefile = (ROOT / "Makefile").read_text()
    for command in SHELL:
        assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE)
