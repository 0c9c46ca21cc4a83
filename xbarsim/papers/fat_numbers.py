"""Numbers of the FAT paper, to set beside ours.

Source: U. Zahid et al., "FAT: Training Neural Networks for Reliable Inference Under Hardware Faults", Table I
(standard training, CNVW1A1 on CIFAR-10), Tables II to IV (their rows of CIFAR-10) and section V-C.
"""

from __future__ import annotations

ERROR_FREE = 84.57
# layer: (channels, stuck at -1: min, max, stuck at +1: min, max), accuracy in %
TABLE_I: dict[int, tuple[int, float, float, float, float]] = {
    0: (64, 79.69, 84.38, 80.94, 84.66),
    1: (64, 79.81, 84.78, 50.83, 84.45),
    2: (128, 76.33, 84.67, 78.46, 84.66),
    3: (128, 83.21, 84.54, 78.17, 84.56),
    4: (256, 82.63, 84.62, 82.76, 84.71),
    5: (256, 84.24, 84.75, 84.25, 84.67),
    6: (512, 84.40, 84.66, 84.38, 84.69),
    7: (512, 84.50, 84.64, 84.51, 84.63),
}

# Table II: (network, p in %): (error-free, minimum, variance); p = 0 is standard training
TABLE_II: dict[tuple[str, float], tuple[float, float, float]] = {
    ("cnvW1A1", 0): (84.57, 50.83, 1.211),
    ("cnvW1A1", 5): (85.07, 81.26, 0.150),
    ("cnvW1A1", 10): (84.75, 82.43, 0.085),
    ("cnvW1A1", 15): (84.25, 82.09, 0.052),
    ("cnvW1A2", 0): (87.46, 64.41, 2.612),
    ("cnvW1A2", 5): (88.31, 84.78, 0.153),
    ("cnvW1A2", 10): (87.72, 84.77, 0.092),
    ("cnvW1A3", 0): (89.21, 80.06, 2.331),
    ("cnvW1A3", 5): (89.73, 87.90, 0.089),
    ("cnvW1A4", 0): (89.13, 80.69, 1.960),
    ("cnvW1A4", 5): (89.74, 88.45, 0.074),
    ("cnvW2A2", 0): (88.25, 67.98, 2.508),
    ("cnvW2A2", 5): (88.96, 86.07, 0.057),
    ("cnvW2A2", 10): (88.60, 86.66, 0.043),
}

# Table III, channels: network: (FAT: p, error-free, minimum, variance), (Dropout2D: the same)
TABLE_III: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "cnvW1A1": ((5.0, 85.07, 81.26, 0.150), (2.5, 84.41, 80.14, 0.132)),
    "cnvW1A2": ((5.0, 88.31, 84.78, 0.153), (2.5, 88.36, 85.07, 0.113)),
    "cnvW1A3": ((2.5, 89.56, 87.27, 0.089), (2.5, 89.50, 88.38, 0.073)),
    "cnvW1A4": ((2.5, 89.41, 87.86, 0.074), (2.5, 89.36, 88.60, 0.079)),
    "cnvW2A2": ((5.0, 88.96, 86.07, 0.057), (2.5, 89.47, 86.33, 0.089)),
}

# Table IV, pixels: network: (standard: 0, error-free, minimum), (FAT: p, ...), (Dropout2D: p, ...)
TABLE_IV: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    "cnvW1A1": ((0.0, 84.57, 79.83), (2.5, 85.03, 83.60), (2.5, 84.41, 81.14)),
    "cnvW1A2": ((0.0, 87.46, 64.93), (2.5, 88.06, 86.55), (10.0, 88.50, 82.48)),
    "cnvW2A2": ((0.0, 88.25, 71.34), (2.5, 89.13, 88.00), (10.0, 87.70, 83.71)),
}
