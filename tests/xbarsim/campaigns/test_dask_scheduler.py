"""What an address of a Dask scheduler may be, and which are trusted."""

import socket

import pytest

from xbarsim.campaigns.dask_scheduler import DaskScheduler
from xbarsim.errors import InputError

HOSTS = {
    "near.example": ["127.0.0.1", "::1"],
    "far.example": ["192.0.2.1"],
    "both.example": ["::1", "192.0.2.1"],
}


@pytest.fixture(autouse=True)
def known_hosts(monkeypatch):
    """Names that stand for addresses, without asking anybody."""
    ask = socket.getaddrinfo

    def answer(host, *options):
        places = HOSTS.get(host)
        if places is None:
            return ask(host, *options, flags=socket.AI_NUMERICHOST)
        return [(socket.AF_INET, 0, 0, "", (place, 0)) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.parametrize(
    "address",
    [
        "local",
        "tcp://127.0.0.1:8786",
        "tcp://127.8.8.8:1",
        "tcp://[::1]:8786",
        "tcp://near.example:8786",
        "tls://192.0.2.1:8786",
        "tls://far.example:8786",
    ],
)
def test_this_machine_and_tls_need_no_trust(address):
    DaskScheduler(address=address).check_trusted()


@pytest.mark.parametrize(
    "address",
    [
        "tcp://192.0.2.1:8786",
        "tcp://[2001:db8::1]:8786",
        "tcp://0.0.0.0:8786",
        "tcp://far.example:8786",
        "tcp://both.example:8786",
    ],
)
def test_a_way_without_tls_off_this_machine_needs_trust(address):
    with pytest.raises(
        InputError, match=r"DaskScheduler.trusted: .* since one can run code as you, got tcp://"
    ):
        DaskScheduler(address=address).check_trusted()
    DaskScheduler(address=address, trusted=True).check_trusted()


def test_a_host_that_is_not_found_is_said():
    with pytest.raises(InputError, match=r"host nowhere.example is not found"):
        DaskScheduler(address="tcp://nowhere.example:8786").check_trusted()


@pytest.mark.parametrize(
    "address",
    ["", "Local", "127.0.0.1:8786", "http://a:1", "ucx://a:1", "inproc://a", "tcp://a", "tcp://a:b", "tcp://a:1/x",
     "tcp://a:0", "tcp://a:65536", "tcp://a b:1", "tcp://a:1\n", "tcp://\x1b[31m:1", None, 8786],
)  # fmt: skip
def test_other_addresses_are_refused(address):
    with pytest.raises(InputError, match=r"^(scheduler|DaskScheduler\.address): expected") as refused:
        DaskScheduler(address=address)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"trusted": 1}, "trusted: expected True or False"),
        ({"wait_for_workers_s": 0}, "wait_for_workers_s: expected a finite number"),
        ({"wait_for_workers_s": float("inf")}, "wait_for_workers_s: expected a finite number"),
        ({"tls_ca_file": "none.pem"}, "tls_ca_file: expected a PEM file, got none.pem"),
        ({"tls_ca_file": __file__}, "tls_cert: expected a PEM file beside tls_ca_file, got none"),
        (
            {"tls_cert": __file__, "tls_key": __file__},
            "tls_ca_file: expected a PEM file beside tls_cert and tls_key",
        ),
        (
            {"tls_ca_file": "/dev/zero", "tls_cert": __file__},
            "tls_ca_file: expected a PEM file, got /dev/zero",
        ),
    ],
)
def test_nonsense_is_refused(fields, words):
    with pytest.raises(InputError, match=f"^DaskScheduler.{words}"):
        DaskScheduler(address="tls://192.0.2.1:8786", **fields)


@pytest.mark.parametrize("address", ["local", "tcp://127.0.0.1:8786"])
def test_certificates_that_nothing_uses_are_refused(address):
    with pytest.raises(InputError, match="tls_ca_file: expected none without tls://, got one for"):
        DaskScheduler(address=address, tls_ca_file=__file__, tls_cert=__file__)


def test_a_scheduler_that_does_not_answer_is_said_with_its_cause():
    error = DaskScheduler(address="tcp://127.0.0.1:1").unanswered("no answer")
    assert str(error).startswith(
        "scheduler: expected a Dask scheduler that answers, got tcp://127.0.0.1:1 (no answer)"
    )
