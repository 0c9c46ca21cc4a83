"""One parallel kernel at a time: numba's own pool of threads takes work from one Python thread only."""

from __future__ import annotations

from threading import Lock

ONE_LAUNCH = Lock()
