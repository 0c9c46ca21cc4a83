"""Every command with small arguments that go well, and what may stand in the place of each of them."""

from dataclasses import fields, is_dataclass

import typer

from xbarsim.cli.app import app
from xbarsim.registry import accelerators, detectors, fault_models, repairs

NUMBERS = ["0", "-1", "1", "2.5", "1e-320", "1e308", "nan", "inf", "-0.0", "9" * 30, "1_0", "0x10", "true"]
WORDS = [
    "", " ", "-", "--", "none", "\x1b[31mred", "a\u202eb", "a" * 5000, "\udcff", "$\\frac{", ":", ":=",
    "a:b=c:d=e,,", "isaac:", "stuck-cells:rate=", "x.py:f", "data:", "%s%n", "{0}", "'", '"', "\\", "[",
    "\N{DUCK}", "\N{ARABIC-INDIC DIGIT THREE}", "a\nb", "+", ",",
]  # fmt: skip
FIELDS = ["0", "-1", "2.5", "nan", "1e308", "9" * 30, "", "65536", "x", "\x1b[31m", "1+2", "true"]
PLACES = [
    "none", "folder", "folder/", "zeros", "pipe", "loop", "file", "file/inside", "../" * 30, "/proc/self/mem",
    "/dev/null", "/proc/none/x", "long" * 100, "\x1b[31m.db",
]  # fmt: skip
FEW = ["--chips", "1", "--images", "20"]
GOOD = {  # of every command; {here} is a folder with the files below
    "simulate": FEW,
    "detect": FEW,
    "repair": [*FEW, "--repairs", "closest-values"],
    "train": [
        "digits-mlp",
        "--epochs",
        "1",
        "--train-images",
        "50",
        "--images",
        "20",
        "--out",
        "{here}/new.safetensors",
    ],
    "inspect": ["--images", "20"],
    "report": ["{here}/small.db"],
    "list": ["networks"],
    "demo": ["--chips", "none"],
    "faults sample": ["--out", "{here}/sampled.safetensors"],
    "faults show": ["{here}/map.safetensors"],
    "faults draw": ["{here}/map.safetensors", "--out", "{here}/drawn.png"],
    "march run": [],
    "march coverage": ["MATS+"],
    "march list": [],
    "campaign plan": ["{here}/small.toml"],
    "campaign run": ["{here}/small.toml", "--store", "{here}/small.db"],
    "campaign status": ["{here}/small.db"],
    "campaign merge": ["{here}/merged.db", "{here}/small.db"],
    "campaign export": ["{here}/small.db", "{here}/trials.csv"],
}
MAY_FAIL = {"demo"}  # its good call would take minutes: here it is a bad one


def commands():
    """By name, the options and arguments of every command that is shown."""
    return dict(_walk(typer.main.get_command(app), ()))


def _walk(command, path):
    for name, one in getattr(command, "commands", {}).items():
        yield from _walk(one, (*path, name))
    if not getattr(command, "commands", {}) and not command.hidden:
        yield " ".join(path), command.params


def cases(here):
    """Command and words of every case: each option and argument with each value, the others good."""
    for name, options in commands().items():
        study = name.startswith("study ")
        good = [word.format(here=here) for word in ([] if study else GOOD[name])]
        if study:
            good = ["--budget", "none"]  # nothing is trained
        places = [place for place, word in enumerate(good) if not word.startswith("--")]
        for place in places:
            if place == 0 or not good[place - 1].startswith("--"):
                for value in (*NUMBERS, *WORDS, *(_place(here, p) for p in PLACES)):
                    yield name, [*good[:place], value, *good[place + 1 :]]
        for option in options:
            flags = [flag for flag in option.opts if flag.startswith("--")]
            if not flags or flags[0] == "--help":
                continue
            for value in [None] if option.is_flag else _values(option.name, here):
                yield name, [*good, flags[0], *([] if value is None else [value])]


def _values(option, here):
    """What an option may be given: numbers, words, places, and names with fields that are wrong."""
    registries = {
        "faults": fault_models, "accelerator": accelerators, "detectors": detectors, "repairs": repairs,
    }  # fmt: skip
    if option in ("scheduler", "workers", "wait"):  # what may start something goes with its own tests
        return [
            "0",
            "-1",
            "nan",
            "",
            "5000",
            "\x1b[31m",
            "http://127.0.0.1:1",
            "tcp://",
            "tcp://" + "y" * 300,
        ]
    found = [*NUMBERS, *WORDS, *(_place(here, place) for place in PLACES)]
    if option in registries:
        found += [*_specs(registries[option])]
    return found


def _place(here, place):
    return place if place.startswith("/") else f"{here}/{place}"


def _specs(registry):
    for name in registry.names:
        entry = registry.entry(name)
        made = entry if is_dataclass(entry) else entry()
        for field in fields(made):
            for value in FIELDS:
                yield f"{name}:{field.name}={value}"


def make_files(here):
    """The files and folders that the arguments name."""
    import os

    from tests.fuzz.formats import FORMATS

    (here / "folder").mkdir()
    (here / "file").write_text("text")
    (here / "zeros").symlink_to("/dev/zero")
    (here / "loop").symlink_to(here / "loop")
    os.mkfifo(here / "pipe")
    FORMATS["store"].make(here)
    FORMATS["fault-map"].make(here)
