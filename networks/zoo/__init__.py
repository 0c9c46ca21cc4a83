"""Small trained checkpoints, each with what made it: network, test result, command, seed, data, versions."""

from __future__ import annotations

from pathlib import Path

from xbarsim.errors import InputError
from xbarsim.hints import checked

FOLDER = Path(__file__).parent


def zoo() -> dict[str, Path]:
    """All checkpoints by name."""
    found = {path.stem: path for path in FOLDER.glob("*.safetensors")}
    return dict(sorted(found.items()))


@checked
def zoo_path(name: str) -> Path:
    """A checkpoint, for `networks.checkpoints.load_checkpoint`.

    Raises
    ------
    InputError : an unknown name.

    >>> zoo_path("lenet").name
    'lenet.safetensors'
    """
    known = zoo()
    if name not in known:
        raise InputError("checkpoint", "one of " + ", ".join(known), repr(name))
    return known[name]
