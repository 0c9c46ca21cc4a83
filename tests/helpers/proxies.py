"""A TCP connection on this machine that can be cut, stalled, slowed, or torn now and then."""

import random
import selectors
import socket
import threading
import time
from contextlib import contextmanager, suppress

PIECE = 4096


class Proxy:
    """Listens on `address` and passes everything on to the target.

    Attributes
    ----------
    delay_s : that a piece of 4 KB takes
    tear : share of pieces at which a connection is closed instead
    stalled : nothing is passed on, and nobody is told
    taken : connections so far; those beyond `most` are taken and never answered
    """

    def __init__(self, target):
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.delay_s, self.tear, self.stalled = 0.0, 0.0, False
        self.taken, self.most = 0, float("inf")
        self._sockets, self._closed, self._rng = set(), False, random.Random(1)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Close all connections, and take no more."""
        self._closed = True
        self._listener.close()
        for one in list(self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            self._sockets.add(near)
            self.taken += 1
            if self.taken <= self.most:
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near):
        with suppress(OSError), socket.create_connection(self._target) as far, near:
            self._sockets.add(far)
            with selectors.DefaultSelector() as selector:
                selector.register(near, selectors.EVENT_READ, far)
                selector.register(far, selectors.EVENT_READ, near)
                while not self._closed:
                    for key, _ in selector.select(0.1):
                        self._wait()
                        piece = key.fileobj.recv(PIECE)
                        if not piece or self._rng.random() < self.tear:
                            return
                        key.data.sendall(piece)

    def _wait(self):
        time.sleep(self.delay_s)
        while self.stalled and not self._closed:
            time.sleep(0.05)


@contextmanager
def proxy_of(address):
    """A proxy before 'tcp://HOST:PORT'."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    proxy = Proxy((host, int(port)))
    try:
        yield proxy
    finally:
        proxy.cut()
