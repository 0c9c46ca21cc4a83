"""The Dask scheduler that a command line names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from xbarsim.errors import InputError

if TYPE_CHECKING:
    from xbarsim.campaigns.dask_scheduler import DaskScheduler


def scheduler(
    address: str | None,
    *,
    trust: bool,
    ca_file: Path | None,
    cert: Path | None,
    key: Path | None,
    wait_s: float | None,
) -> DaskScheduler | None:
    """Return the scheduler of these options, None without one; options that nothing uses are refused."""
    given = {
        "--trust-scheduler": trust or None,
        "--tls-ca-file": ca_file,
        "--tls-cert": cert,
        "--tls-key": key,
        "--wait-for-workers": wait_s,
    }
    if address is None:
        for flag, value in given.items():
            if value is not None:
                raise InputError(flag, "none without --scheduler", value)
        return None
    from xbarsim.campaigns.dask_scheduler import DaskScheduler

    found = DaskScheduler(
        address=address, trusted=trust, tls_ca_file=ca_file, tls_cert=cert, tls_key=key,
        **({} if wait_s is None else {"wait_for_workers_s": wait_s}),
    )  # fmt: skip
    found.check_trusted()
    return found
