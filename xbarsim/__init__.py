"""Neural networks on imperfect accelerators: what faults do, how to find them, how to survive them.

The packages from top to bottom; a line imports only from lines below it, and names on one line
do not import each other (``lint-imports`` checks it)::

    xbarsim.cli
    xbarsim.studies
    accel_models | networks | xbarsim.report
    xbarsim.training | xbarsim.detection
    xbarsim.torch_bridge
    xbarsim.mapping
    xbarsim.crossbar
    xbarsim.faults
    xbarsim.cells
    xbarsim.campaigns
    xbarsim.metrics | xbarsim.kernels
    xbarsim.rng
    xbarsim.checks

torch is imported by the bridge and what stands above it, never below.
"""

__version__ = "0.1.0"
