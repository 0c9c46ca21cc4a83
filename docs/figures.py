"""Draw the pages' figures anew, by the pages' own snippets and commands: `make figures`.

Figures of published tables are drawn by `xbarsim study NAME --out FOLDER`, as docs/results.md says.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.helpers.pages import ROOT, Snippet, snippets_of, write_files

FIGURES = Path(__file__).parent / "figures"
# by page: what a snippet writes, and its name among the figures
MADE = {
    "docs/tutorials/simulate.md": {"curve.png": "simulate-curve.png", "faults.png": "simulate-faults.png"},
    "docs/tutorials/detect.md": {"detection.png": "detect-curve.png"},
    "docs/tutorials/repair.md": {
        "repaired/accuracy.png": "repair-accuracy.png",
        "repairs.png": "repair-curve.png",
    },
    "docs/tutorials/train.md": {"trained.png": "train-curve.png"},
}
# by page: commands that draw, and what they write
COMMANDS = {
    "README.md": (
        ("xbarsim demo --out demo", {"demo/accuracy.png": "demo-accuracy.png"}),
        ("xbarsim campaign run campaign.toml", {}),
        (
            "xbarsim report campaign.db --figures campaign",
            {"campaign/accuracy-digits-mlp.png": "campaign-accuracy.png"},
        ),
    ),
}


def main() -> None:
    """Draw all of them, or those of the pages that are named."""
    for page in sys.argv[1:] or (*COMMANDS, *MADE):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_files(ROOT / page, folder)
            for command, figures in COMMANDS.get(page, ()):
                _program(command, folder)
                _keep(folder, figures)
            if page in MADE:
                for snippet in snippets_of(ROOT / page):
                    _run(snippet, folder)
                _keep(folder, MADE[page])


def _run(snippet: Snippet, folder: Path) -> None:
    """Run a snippet that may draw."""
    if snippet.language == "console":
        for command, _ in snippet.commands:
            _program(command, folder)
    elif snippet.language == "python" and snippet.file is None:
        _python(["-c", snippet.code], folder)


def _program(command: str, folder: Path) -> None:
    _python(["-c", "from xbarsim.cli.app import main; main()", *shlex.split(command)[1:]], folder)


def _python(arguments: list[str], folder: Path) -> None:
    path = os.pathsep.join((str(folder), str(ROOT)))
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=os.environ | {"PYTHONPATH": path}, check=True
    )


def _keep(folder: Path, figures: dict[str, str]) -> None:
    for made, name in figures.items():
        shutil.copy(folder / made, FIGURES / name)
        print(f"wrote {FIGURES / name}")


if __name__ == "__main__":
    main()
