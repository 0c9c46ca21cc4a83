"""What a training gave, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xbarsim.report.tables import Table
from xbarsim.training.resume import Epoch


def training_table(
    about: Mapping[str, str], history: Sequence[Epoch], hits: int, shots: int, path: object
) -> Table:
    """What a training gave."""
    last = f"{history[-1].loss:.4f}" if history else "-"
    seconds = f"{sum(epoch.seconds for epoch in history):.0f}"
    against = about["method"] + (f" {about['rates']}" if "rates" in about else "")
    return Table(
        title=f"{about['network']}, {against}, seed {about['seed']}",
        columns=("epochs", "last loss", "seconds", "test images", "right", "accuracy"),
        rows=((str(len(history)), last, seconds, str(shots), str(hits), f"{hits / shots:.2%}"),),
        note=f"Data: {about['data']}. Wrote {path}.",
    )
