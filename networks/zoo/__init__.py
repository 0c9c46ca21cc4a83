"""Small trained checkpoints, each with what made it: network, test result, command, seed, data, versions."""

from __future__ import annotations

from pathlib import Path

from xbarsim.checks import InputError

FOLDER = Path(__file__).parent


def zoo() -> dict[str, Path]:
    """All checkpoints by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}


def zoo_path(name: str) -> Path:
    """A checkpoint, for `networks.checkpoints.load_checkpoint` or `--weights`.

    >>> zoo_path("lenet6")
    Traceback (most recent call last):
    ...
    xbarsim.checks.InputError: checkpoint: expected one of cnv-w1a1-half, ..., got 'lenet6'
    """
    known = zoo()
    if name not in known:
        raise InputError("checkpoint", "one of " + ", ".join(known), repr(name))
    return known[name]
