"""Damaged and hostile files of every kind: one line or a result; reproducible by seed."""

import shutil
import zlib

import numpy as np
import pytest

from tests.fuzz.formats import FORMATS
from tests.fuzz.mutations import mutate
from tests.fuzz.watch import COUNT, MEMORY_MB, SEED, settled, taken_MB


@pytest.mark.parametrize("name", FORMATS)
def test_any_file_gives_a_result_or_one_line(tmp_path, name, capfd):
    form = FORMATS[name]
    (tmp_path / "good").mkdir()
    good = form.make(tmp_path / "good")
    assert settled(lambda: form.read(good))
    content = (good / form.damaged).read_bytes()
    before = taken_MB()
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    results = 0
    for number in range(COUNT):
        folder = tmp_path / "changed"
        shutil.copytree(tmp_path / "good", folder)
        changed = folder / good.relative_to(tmp_path / "good")
        (changed / form.damaged).write_bytes(mutate(content, rng))
        try:
            results += settled(lambda path=changed: form.read(path))
        except BaseException as error:
            kept = tmp_path / f"mutation-{number}"
            folder.rename(kept)
            raise AssertionError(f"mutation {number} of {name}, kept as {kept}") from error
        shutil.rmtree(folder)
    assert results < COUNT  # some are noticed
    assert taken_MB() <= max(before, MEMORY_MB)
    assert "Traceback" not in capfd.readouterr().err
