"""Who may answer at the address of a Dask scheduler, and who may reach a cluster of this machine."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import dask
import psutil
import pytest
from distributed import Client
from distributed.core import Server
from distributed.security import Security

from tests.helpers.campaigns import rows, tasks
from tests.helpers.certificates import certificates, tls_fields, tls_options
from tests.helpers.dask_clusters import scheduler, worker
from tests.helpers.proxies import proxy_of
from tests.helpers.tree import ROOT
from xbarsim.campaigns.dask_connection import Connection, local_cluster, patiently, within
from xbarsim.campaigns.dask_scheduler import DaskScheduler
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store
from xbarsim.errors import InputError


class Code:
    """Makes a file where it is unpickled."""

    def __init__(self, mark):
        self._mark = mark

    def __reduce__(self):
        return Path.touch, (Path(self._mark),)


@contextmanager
def hostile(mark, listen, security=None):
    """A server whose answer to a client's first question is code: its port, and who has asked."""
    asked, ready, loop = [], threading.Event(), asyncio.new_event_loop()
    places = []

    async def serve():
        server = Server({"identity": lambda: asked.append(1) or {"type": Code(mark)}}, deserialize=False)
        listening = {} if security is None else security.get_listen_args("scheduler")
        await server.listen(listen, **listening)
        places.append(server.port)
        ready.set()
        await stopped.wait()
        await server.close()

    stopped = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield places[0], asked
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()


def refusal(address, **fields):
    """The words of a refused connection."""
    with pytest.raises(InputError) as refused:
        Connection(DaskScheduler(address=address, **fields), 1)
    return str(refused.value)


def far_address():
    """One of this machine's that is not loopback; a skip if it has none."""
    for entry in (entry for entries in psutil.net_if_addrs().values() for entry in entries):
        if entry.family == socket.AF_INET and not entry.address.startswith("127."):
            return entry.address
    pytest.skip("this machine has no address but loopback")


def test_whoever_answers_without_tls_can_run_code_which_is_why_it_has_to_be_trusted(tmp_path):
    mark, host = tmp_path / "mark", far_address()
    with hostile(mark, "tcp://0.0.0.0:0") as (port, asked):
        assert "since one can run code as you" in refusal(f"tcp://{host}:{port}")
        assert not asked and not mark.exists()
        refusal(f"tcp://{host}:{port}", trusted=True)
        assert asked and mark.exists()


def test_nobody_without_a_certificate_of_the_authority_runs_code(tmp_path):
    mark, own, others = tmp_path / "mark", certificates(tmp_path / "own"), certificates(tmp_path / "others")
    files = {
        "tls_ca_file": str(others / "ca.pem"),
        "tls_scheduler_cert": str(others / "cert.pem"),
        "tls_scheduler_key": str(others / "key.pem"),
    }
    for listen, security in (("tcp://127.0.0.1:0", None), ("tls://127.0.0.1:0", Security(**files))):
        with hostile(mark, listen, security) as (port, asked):
            words = refusal(f"tls://127.0.0.1:{port}", **tls_fields(own))
        assert "expected a Dask scheduler that answers" in words
        assert not asked and not mark.exists()


def test_certificates_of_files_or_of_dask_reach_a_scheduler(tmp_path):
    own, others = certificates(tmp_path / "own"), certificates(tmp_path / "others")
    options, fields = tls_options(own), tls_fields(own)
    configured = {"ca-file": "ca.pem", "client.cert": "cert.pem", "client.key": "key.pem"}
    configured = {f"distributed.comm.tls.{name}": str(own / file) for name, file in configured.items()}
    with (
        scheduler(tmp_path, *options, "--protocol", "tls") as (address, _),
        worker(address, *options, "--protocol", "tls"),
    ):
        assert address.startswith("tls://")
        collect(tasks(), tmp_path / "a.db", scheduler=DaskScheduler(address=address, **fields))
        assert "expected a Dask scheduler that answers" in refusal(address, **tls_fields(others))
        assert "expected certificates for tls://" in refusal(address)
        with dask.config.set(configured):
            collect(tasks(), tmp_path / "b.db", scheduler=address)
    collect(tasks(), tmp_path / "c.db")
    assert rows(tmp_path / "a.db").equals(rows(tmp_path / "c.db"))
    assert rows(tmp_path / "b.db").equals(rows(tmp_path / "c.db"))


@pytest.mark.parametrize(
    "change", [{"tls_key": "locked.pem"}, {"tls_cert": "ca.pem"}, {"tls_ca_file": "key.pem"}]
)
def test_files_of_no_use_are_refused_without_a_question(tmp_path, change):
    folder = certificates(tmp_path / "own")
    fields = tls_fields(folder) | {name: folder / file for name, file in change.items()}
    words = refusal("tls://127.0.0.1:1", **fields)
    assert words.startswith("tls_cert: expected certificates and a key that can be used")


STRANGER = """
import sys
from distributed import Client
from distributed.security import Security
place = sys.argv[1].partition("://")[2]
for address, security in ((f"tcp://{place}", None), (f"tls://{place}", Security.temporary())):
    try:
        Client(address, security=security, timeout=2)
        print("in")
    except OSError:
        print("out")
"""


def test_nobody_else_joins_a_cluster_of_this_machine():
    me = psutil.Process()
    before = {place.laddr for place in me.net_connections() if place.status == "LISTEN"}
    with local_cluster(1) as cluster:
        family = (me, *me.children(recursive=True))
        places = {place for one in family for place in one.net_connections() if place.status == "LISTEN"}
        listening = {place.laddr for place in places} - before
        assert {place.ip for place in listening} == {"127.0.0.1"} and len(listening) >= 3
        for place in listening:
            with suppress(ConnectionResetError), socket.create_connection(place, 5) as speaks_http:
                speaks_http.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert not speaks_http.recv(100).startswith(b"HTTP")
        command = [sys.executable, "-c", STRANGER, cluster.scheduler_address]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["out", "out"]


UNGUARDED = """
from xbarsim.campaigns.dask_connection import local_cluster
from xbarsim.errors import InputError
try:
    local_cluster(1)
except InputError as error:
    print(error)
"""


def test_workers_that_do_not_start_are_one_line(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(
        "worker process: expected one that starts, got one that ends; put what starts"
    )


@pytest.mark.parametrize("taken", [0, 1])
def test_somebody_who_takes_connections_and_does_not_answer_is_refused(tmp_path, monkeypatch, taken):
    monkeypatch.setattr("xbarsim.campaigns.dask_connection.ANSWER_S", 2.0)
    with scheduler(tmp_path) as (address, _), proxy_of(address) as proxy:
        proxy.most = taken
        with pytest.raises(InputError, match="a Dask scheduler that answers"):
            collect(tasks(2), tmp_path / "a.db", scheduler=proxy.address)
    with Store(tmp_path / "a.db") as store:
        assert store.runs() == []


def test_somebody_who_is_no_scheduler_is_refused(tmp_path):
    with scheduler(tmp_path) as (address, _), worker(address, "--worker-port", "0") as process:
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=20)
            (other,) = client.scheduler_info()["workers"]
        words = refusal(other)
        assert process.poll() is None
    assert "a Dask scheduler that answers" in words and "it is something else" in words


def test_a_call_that_takes_long_is_watched():
    wait = threading.Event()
    with pytest.raises(InputError, match="patience"):
        patiently(wait.wait, within(0.1, InputError("patience", "an answer", "none")))
    wait.set()
    assert patiently(lambda: 3, within(60, InputError("patience", "an answer", "none"))) == 3
    with pytest.raises(TimeoutError, match="its own"):
        patiently(lambda: (_ for _ in ()).throw(TimeoutError("its own")), lambda: None)
