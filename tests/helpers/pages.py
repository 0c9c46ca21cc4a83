"""README and docs as they are run: their fences, and the files that they say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    ROOT.glob("docs/**/*.md")
)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w-]+\.(?:py|toml))\n")


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """A fence of a page, and the text fence behind it, if there is one: what it prints.

    A fence whose first line is a comment with a file's name, as '# mine.py', is that file.
    """

    page: Path
    number: int
    language: str
    code: str
    output: str

    @property
    def file(self) -> str | None:
        """The name of the file that it is."""
        match = FILE.match(self.code)
        return None if match is None else match[1]

    @property
    def name(self) -> str:
        """Page and number."""
        return f"{self.page.stem}-{self.number}"

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands of a console session, on one line each, with what they print."""
        found = []
        for part in re.split(r"^\$ ", self.code, flags=re.MULTILINE)[1:]:
            command, _, printed = joined(part).partition("\n")
            found.append((command, printed))
        return found


def joined(script: str) -> str:
    """Return a script with lines that a backslash goes on put together."""
    return re.sub(r"\\\n\s*", "", script)


def snippets_of(page: Path) -> list[Snippet]:
    """Return the fences of a page, in its order."""
    return [
        Snippet(page=page, number=number, language=match[1], code=match[2], output=match[3] or "")
        for number, match in enumerate(FENCE.finditer(page.read_text()))
    ]


def write_files(page: Path, folder: Path) -> list[str]:
    """Write the files that all pages say, those of this page last, and return their names."""
    others = [other for other in PAGES if other != page]
    files = {s.file: s.code for p in (*others, page) for s in snippets_of(p) if s.file is not None}
    for name, text in files.items():
        (folder / name).write_text(text)
    return list(files)
