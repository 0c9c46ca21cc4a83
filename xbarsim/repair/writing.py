"""What repairs that write cells ask of a chip."""

from __future__ import annotations

from typing import Any

from xbarsim.chip import Writable
from xbarsim.errors import InputError


def check_writable(repair: str, chip: Any) -> None:
    """Refuse a chip whose cells cannot be written again."""
    if not isinstance(chip, Writable):
        expected = "a chip whose cells can be written again"
        raise InputError(f"repair {repair}", expected, type(chip).__name__, "choose another accelerator")
