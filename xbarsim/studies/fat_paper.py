"""Numbers of the FAT paper, to set beside ours.

Source: U. Zahid et al., "FAT: Training Neural Networks for Reliable Inference Under Hardware Faults", Table I
(standard training, CNVW1A1 on CIFAR-10) and section V-C.
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
