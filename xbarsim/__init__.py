"""Neural networks on imperfect accelerators: what faults do, how to find them, how to survive them.

The packages stand in one order, which setup.cfg writes down and ``lint-imports`` checks; torch is imported
by the bridge and what stands above it, never below.
"""

__version__ = "0.1.0"
