"""One small chip of every kind: add a factory, and its chip is held to the contract."""

from __future__ import annotations

from collections.abc import Callable

from tests.contracts import finn_chips, reram_chips, spiking_chips
from tests.contracts.case import Case

CHIPS: dict[str, Callable[[], Case]] = {
    "reram": reram_chips.reram_isaac,
    "reram that clips": reram_chips.reram_clipping,
    "analog": reram_chips.analog_ideal,
    "analog with noise": reram_chips.analog_noisy,
    "finn by hand": finn_chips.finn_by_hand,
    "finn loopback": finn_chips.finn_loopback,
    "finn of images": finn_chips.finn_of_images,
    "finn of features": finn_chips.finn_of_features,
    "spiking": spiking_chips.spiking,
    "spiking on cells": spiking_chips.spiking_on_cells,
}
