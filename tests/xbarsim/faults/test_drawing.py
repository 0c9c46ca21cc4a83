import numpy as np
import pytest
from matplotlib.image import imread

from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.sampling import FaultMix, sample_by_rate

G = CellGeometry(arrays=30, rows=16, columns=16)
MIX = FaultMix(stuck_hrs=1, stuck_lrs=1, stuck_at=1, flip=1, step=1)


def test_drawing_shows_every_kind_in_its_colour(tmp_path):
    fault_map = sample_by_rate(G, 0.2, mix=MIX, rng=np.random.default_rng(0))
    picture = imread(fault_map.draw(tmp_path / "map.png", title="here", panels=2))
    seen = {tuple(np.rint(255 * colour[:3]).astype(int)) for colour in picture.reshape(-1, picture.shape[2])}
    for colour in ("3b6fb6", "c8452f", "7a4fa3", "d99a1c", "4f9a63"):
        assert tuple(bytes.fromhex(colour)) in seen


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_empty_map_can_be_drawn(tmp_path, suffix):
    assert FaultMap.of(G).draw(tmp_path / f"map{suffix}").stat().st_size > 1000


def test_largest_chip_can_be_drawn(tmp_path):
    geometry = CellGeometry(arrays=10**7)
    fault_map = FaultMap.of(geometry, array=[5, 10**7 - 1], row=0, column=0, kind="stuck_hrs")
    assert fault_map.draw(tmp_path / "map.png").stat().st_size > 1000


def test_other_suffix_and_no_panels_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match=r"\.pdf, \.png, \.svg"):
        FaultMap.of(G).draw(tmp_path / "map.txt")
    with pytest.raises(InputError, match="panels"):
        FaultMap.of(G).draw(tmp_path / "map.png", panels=0)
    assert not list(tmp_path.iterdir())
