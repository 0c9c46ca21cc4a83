"""A Dask scheduler: where it is, whether it is trusted, and what proves who it is.

Dask's messages are pickles: whoever answers at the address can run code in this process, by the first answer.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from xbarsim.errors import InputError, check_positive
from xbarsim.hints import check_fields

LOCAL = "local"
ADDRESS = re.compile(r"(?P<scheme>tcp|tls)://(?P<host>\[[\w:.%]+\]|[\w.-]+):(?P<port>\d{1,5})")


@dataclass(frozen=True, kw_only=True)
class DaskScheduler:
    """A scheduler that hands out trials, and what is believed of it.

    Parameters
    ----------
    address : 'tcp://HOST:PORT', 'tls://HOST:PORT', or 'local' for a cluster of this machine, which no other
        user of it can reach
    trusted : whether a connection without TLS may leave this machine; whoever answers it, or sits on the way,
        can run code as you
    tls_ca_file, tls_cert, tls_key : PEM files for tls://, as those of `dask scheduler`: who signs, what this
        side shows, and its key, which may be in the second. Without them Dask's own configuration decides
    wait_for_workers_s : how long there may be no worker, at the beginning or later

    Raises
    ------
    InputError : another address, files that are missing or of no use.
    """

    address: str
    trusted: bool = False
    tls_ca_file: str | Path | None = None
    tls_cert: str | Path | None = None
    tls_key: str | Path | None = None
    wait_for_workers_s: float = 60.0

    def __post_init__(self) -> None:
        check_fields(self)
        found = ADDRESS.fullmatch(self.address)
        if self.address != LOCAL and not (found and 0 < int(found["port"]) < 1 << 16):
            expected = "'local', 'tcp://HOST:PORT' or 'tls://HOST:PORT'"
            raise InputError("scheduler", expected, repr(self.address)[:100], "see what a scheduler prints")
        check_positive("DaskScheduler.wait_for_workers_s", self.wait_for_workers_s)
        self._check_files()

    def _check_files(self) -> None:
        files = {"tls_ca_file": self.tls_ca_file, "tls_cert": self.tls_cert, "tls_key": self.tls_key}
        given = {name: file for name, file in files.items() if file is not None}
        for name, file in given.items():
            if not self.encrypted:
                raise InputError(f"DaskScheduler.{name}", "none without tls://", f"one for {self.address}")
            if not Path(file).is_file():
                raise InputError(f"DaskScheduler.{name}", "a PEM file", file)
        for name in ("tls_ca_file", "tls_cert"):
            if given and name not in given:
                others = " and ".join(given)
                raise InputError(f"DaskScheduler.{name}", f"a PEM file beside {others}", "none")

    @property
    def encrypted(self) -> bool:
        """Whether the address asks for TLS."""
        return self.address.startswith("tls://")

    def check_trusted(self) -> None:
        """Refuse a connection without TLS that leaves this machine, unless it is trusted.

        Raises
        ------
        InputError : that, or a host that is not found.
        """
        found = ADDRESS.fullmatch(self.address)
        if found is None or self.encrypted or self.trusted or _is_loopback(found["host"], self.address):
            return
        expected = "a scheduler on this machine, or with TLS, since one can run code as you"
        remedy = "say that you trust it and the network on the way, or use tls:// with certificates"
        raise InputError("DaskScheduler.trusted", expected, self.address, remedy)

    def unanswered(self, cause: object = "") -> InputError:
        """Return the mistake that no scheduler answers there, with the cause if it is known."""
        got = f"{self.address} ({cause})" if str(cause) else self.address
        remedy = "give the address that 'dask scheduler' prints, or 'local'"
        return InputError("scheduler", "a Dask scheduler that answers", got, remedy)


def _is_loopback(host: str, address: str) -> bool:
    """Whether all that a host's name stands for is this machine."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host.strip("[]"), None)}
    except (OSError, UnicodeError) as error:
        raise DaskScheduler(address=address).unanswered(f"host {host} is not found") from error
    return all(ip_address(str(place).partition("%")[0]).is_loopback for place in found)
