"""A training's epochs as a CSV file and as a TensorBoard run; `fit` and `play` call them with all so far."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from xbarsim.errors import InputError
from xbarsim.files import check_folder, write_atomically
from xbarsim.training.resume import Epoch

OnEpoch = Callable[[Sequence[Epoch]], None]


def csv_log(path: str | Path) -> Callable[[Sequence[Any]], None]:
    """Write all epochs anew after each one, so that a resumed training leaves one table without gaps."""

    def write(history: Sequence[Any]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, [f.name for f in fields(history[0])], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(epoch) for epoch in history)
        write_atomically(path, lambda temporary: temporary.write_text(text.getvalue()))

    return write


def tensorboard_log(folder: str | Path) -> OnEpoch:
    """Add the last epoch to a TensorBoard run.

    Raises
    ------
    InputError : TensorBoard is not installed; a folder that cannot be written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        remedy = "install it with pip install 'xbarsim[tensorboard]'"
        raise InputError("tensorboard", "TensorBoard", "it is not installed", remedy) from error
    check_folder(folder)

    def write(history: Sequence[Epoch]) -> None:
        last = history[-1]
        with SummaryWriter(str(folder)) as writer:
            for name in ("loss", "learning_rate", "seconds"):
                writer.add_scalar(name, getattr(last, name), last.epoch)

    return write


def logs_to(csv_path: Path | None, tensorboard_folder: Path | None) -> OnEpoch:
    """One function that writes the logs that are wanted."""
    logs = [csv_log(csv_path)] if csv_path is not None else []
    logs += [tensorboard_log(tensorboard_folder)] if tensorboard_folder is not None else []

    def write(history: Sequence[Epoch]) -> None:
        for log in logs:
            log(history)

    return write
