"""Arrays solved in parallel, kept in a cache that damage cannot make wrong."""

import numpy as np

from xbarsim.crossbar import solved
from xbarsim.crossbar.parasitic import Wires
from xbarsim.crossbar.solved import solve_arrays


def test_cache_gives_the_same_numbers_and_survives_damage(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0.5, 500, (5, 4)).astype(np.float32) for _ in range(3)]
    first = list(solve_arrays(iter(arrays), Wires(), folder=tmp_path))
    files = sorted(tmp_path.glob("*.solved"))
    assert len(files) == 3
    files[0].write_bytes(b"")
    files[1].write_bytes(b"PK\x03\x04 something else")
    content = bytearray(files[2].read_bytes())
    content[30] ^= 1
    files[2].write_bytes(content)
    for again, array in zip(solve_arrays(arrays, Wires(), folder=tmp_path), first, strict=True):
        np.testing.assert_array_equal(again, array)
    changed = list(solve_arrays(arrays, Wires(word_ohm=2), folder=tmp_path))
    assert (changed[0] <= first[0]).all() and (changed[0] < first[0]).any()
    assert len(list(tmp_path.glob("*.solved"))) == 6
    monkeypatch.setattr(solved, "MOST_BYTES", 500)
    list(solve_arrays(arrays, Wires(), folder=tmp_path))
    assert sum(p.stat().st_size for p in tmp_path.glob("*.solved")) <= 500
    blocked = tmp_path / "file"
    blocked.write_text("")
    for again, array in zip(solve_arrays(arrays, Wires(), folder=blocked), first, strict=True):
        np.testing.assert_array_equal(again, array)
