"""Two hosts on this machine and a link between them: network namespaces, and a thread that passes packets on.

The link is ours and not the kernel's, since few kernels have all that loses and delays packets.
"""

import fcntl
import os
import random
import selectors
import struct
import subprocess
import threading
import time
from collections import deque
from contextlib import contextmanager

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MOST_BYTES = 1 << 16


class Host:
    """A namespace with one end of the link.

    Attributes
    ----------
    address : its own
    before : what goes before a command that runs there
    """

    def __init__(self, number):
        self.name, self.address = f"xbarsim-{os.getpid()}-{number}", f"10.77.0.{number}"
        self.before, device = ("ip", "netns", "exec", self.name), f"xb{os.getpid()}.{number}"
        _ip("netns", "add", self.name)
        self.packets = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.packets, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI))
        _ip("link", "set", device, "netns", self.name)
        _ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", device)
        for each in (device, "lo"):
            _ip("-n", self.name, "link", "set", each, "up")


class Link:
    """Passes packets on between two hosts.

    Attributes
    ----------
    delay_s, loss : of every packet, and share of packets that are lost
    cut : nothing is passed on
    lost, passed : packets so far
    """

    def __init__(self, hosts):
        self.delay_s, self.loss, self.cut = 0.0, 0.0, False
        self.lost, self.passed = 0, 0
        self._ends, self._rng, self._closed = [host.packets for host in hosts], random.Random(1), False
        self._thread = threading.Thread(target=self._pass_on)
        self._thread.start()

    def close(self):
        """End passing on."""
        self._closed = True
        self._thread.join()

    def _pass_on(self):
        waiting, (a, b) = deque(), self._ends
        with selectors.DefaultSelector() as selector:
            selector.register(a, selectors.EVENT_READ, b)
            selector.register(b, selectors.EVENT_READ, a)
            while not self._closed:
                for key, _ in selector.select(0.001 if waiting else 0.05):
                    packet = os.read(key.fd, MOST_BYTES)
                    if self.cut or self._rng.random() < self.loss:
                        self.lost += 1
                    else:
                        waiting.append((time.monotonic() + self.delay_s, key.data, packet))
                while waiting and waiting[0][0] <= time.monotonic():
                    _, end, packet = waiting.popleft()
                    os.write(end, packet)
                    self.passed += 1


def reason_without_hosts():
    """Why no hosts can be made here; empty if they can."""
    if os.geteuid():
        return "only root makes network namespaces"
    try:
        with two_hosts():
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespaces or TUN devices: {error}"


@contextmanager
def two_hosts():
    """Two hosts and their link."""
    hosts, link = [], None
    try:
        hosts.append(Host(1))
        hosts.append(Host(2))
        link = Link(hosts)
        yield *hosts, link
    finally:
        if link is not None:
            link.close()
        for host in hosts:
            os.close(host.packets)
            _ip("netns", "del", host.name)


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)
