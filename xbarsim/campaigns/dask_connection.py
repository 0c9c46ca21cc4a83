"""Connections to Dask: to a scheduler that is checked first, or to a cluster of this machine.

Dask's own waits have no end where somebody takes a connection and does not answer: see `patiently`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Callable
from concurrent import futures
from contextlib import ExitStack, suppress
from typing import Any, TypeVar

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster, Worker, rpc
from distributed.security import Security
from distributed.utils import silence_logging_cmgr

from xbarsim.campaigns.dask_scheduler import LOCAL, DaskScheduler
from xbarsim.errors import InputError

ANSWER_S = 15.0
POLL_S = 0.25
CLOSE_S = 1.0
T = TypeVar("T")


class Connection:
    """A client of a scheduler, and the cluster behind it where that is ours.

    Attributes
    ----------
    client : connected; Dask's messages to the log are silent while it is

    Raises
    ------
    InputError : a scheduler that is not trusted, does not answer, or is none; credentials of no use.
    """

    def __init__(self, scheduler: DaskScheduler, workers: int) -> None:
        scheduler.check_trusted()
        self._open = ExitStack()
        with ExitStack() as opened:
            opened.enter_context(silence_logging_cmgr(logging.CRITICAL))
            if scheduler.address == LOCAL:
                cluster = opened.enter_context(local_cluster(workers))
                self.client = Client(cluster, timeout=ANSWER_S, set_as_default=False)
            else:
                self.client = _connected(scheduler)
            self._open = opened.pop_all()

    def close(self) -> None:
        """Leave the scheduler, within seconds whether it answers or not."""
        with self._open, suppress(Exception):  # one that is gone need not be told
            self.client.close(timeout=CLOSE_S)


def patiently(call: Callable[[], T], watch: Callable[[], None]) -> T:
    """Return what a call returns, however long it takes; an error of `watch`, asked now and then, ends it."""
    answer = futures.Future[T]()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()  # no exit waits for it
    while True:
        try:
            return answer.result(POLL_S)
        except TimeoutError:
            if answer.done():
                raise
            watch()


def within(seconds: float, error: Exception) -> Callable[[], None]:
    """Return a watch that raises the error when so much time is over."""
    end = time.monotonic() + seconds

    def watch() -> None:
        if time.monotonic() > end:
            raise error

    return watch


def local_cluster(workers: int) -> SpecCluster:
    """Start worker processes on this machine, which nobody else can reach.

    They listen on 127.0.0.1 and talk TLS, with a certificate that is made now, in memory, and is the only one
    that they accept. There is no dashboard and nothing else that speaks HTTP.

    Raises
    ------
    InputError : a worker that does not start, or no package for certificates.
    """
    security = _own_security()
    common = {"host": "127.0.0.1", "protocol": "tls://", "security": security}
    worker = {
        "nthreads": 1, "memory_limit": None, "worker_class": _Worker, "silence_logs": logging.CRITICAL,
    }  # fmt: skip
    settings = {
        "distributed.scheduler.allowed-failures": 0,  # the runner tries again itself
        "distributed.scheduler.worker-saturation": 1.0,  # what waits at a worker that dies would be blamed
        "distributed.nanny.pre-spawn-environ": {},  # it would stay in this process; see `_Tasks.run`
    }
    try:
        with dask.config.set(settings):
            return SpecCluster(
                scheduler={"cls": _Scheduler, "options": {**common, "port": 0, "dashboard": False}},
                workers={n: {"cls": Nanny, "options": {**common, **worker}} for n in range(workers)},
                security=security,
                silence_logs=logging.CRITICAL,
            )
    except RuntimeError as error:
        remedy = "put what starts the campaign below 'if __name__ == \"__main__\":', or take fewer"
        raise InputError("worker process", "one that starts", "one that ends", remedy) from error


def _own_security() -> Security:
    try:
        return Security.temporary()
    except ImportError as error:
        remedy = "pip install 'xbarsim[dask]'"
        expected = "the package cryptography, for certificates of a local cluster"
        raise InputError("scheduler", expected, "none", remedy) from error


class _WithoutPages:
    """Part of a cluster that serves no pages: Dask opens a port for them even without a dashboard."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Open none."""


class _Scheduler(_WithoutPages, Scheduler):
    """Without pages."""


class _Worker(_WithoutPages, Worker):
    """Without pages."""


def _connected(scheduler: DaskScheduler) -> Client:
    security, address = _security(scheduler), scheduler.address

    def connect() -> Client:
        asyncio.run(_check(address, security))
        return Client(address, security=security, timeout=ANSWER_S, set_as_default=False)

    try:
        return patiently(connect, within(2 * ANSWER_S, TimeoutError("no answer")))
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        raise scheduler.unanswered(error) from error


async def _check(address: str, security: Security) -> None:
    """Refuse somebody who is no scheduler; a client would wait there for ever."""
    async with rpc(address, connection_args=security.get_connection_args("client")) as other:
        identity = await asyncio.wait_for(other.identity(), ANSWER_S)
    if identity.get("type") != "Scheduler":
        raise ValueError("it is something else")


def _security(scheduler: DaskScheduler) -> Security:
    """The credentials: of files, or those of Dask's configuration."""
    named = {
        "tls_ca_file": scheduler.tls_ca_file,
        "tls_client_cert": scheduler.tls_cert,
        "tls_client_key": scheduler.tls_key,
    }
    given = {name: str(file) for name, file in named.items() if file is not None}
    try:
        if scheduler.tls_cert is not None:  # a locked key would be asked about on the terminal, for ever
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(scheduler.tls_cert, scheduler.tls_key, "")
        security = Security(require_encryption=True, **given) if given else Security()
        found = security.get_connection_args("client")["ssl_context"]
    except (OSError, ValueError) as error:
        reason: object = error
        if isinstance(error, ssl.SSLError):
            reason = "PEM files that do not belong together, or a key with a passphrase"
        raise InputError("tls_cert", "certificates and a key that can be used", reason) from error
    if scheduler.encrypted and found is None:
        remedy = "name the PEM files of its CA and of your own, or put them into Dask's configuration"
        raise InputError("tls_ca_file", f"certificates for {scheduler.address}", "none", remedy)
    return security
