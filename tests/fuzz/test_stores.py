"""Stores that are whole files with anything in them: impossible rows, other objects, hostile words."""

import json
import shutil
import sqlite3

import numpy as np
import pytest

from tests.fuzz.formats import FORMATS, use_store
from tests.fuzz.watch import COUNT, MEMORY_MB, SEED, settled, taken_MB

VALUES = [
    None, True, 0, -1, 1e308, 2**63 - 1, "", "\x1b[31m", "a" * 5000, "$\\frac{", "{{7*7}}",
    "<script>alert(1)</script>", [], {}, [[]], {"name": None}, {"name": ["a"]}, {"": {"": ""}},
    ["stuck-cells"] * 50, {"a.b": 1, "a": {"b": 2}},
]  # fmt: skip
NUMBERS = [-(2**63), -1, 0, 1, 2, 10**7, 2**63 - 1]
TEXTS = [
    "", "{}", "[]", "null", "nan", "{", '{"a": 1e999}', '{"a": "b"}', '{"a": ' + "9" * 400 + "}", "[" * 10**5,
]  # fmt: skip
NAMES = [f'{{"{name}": 1}}' for name in ('a"b', "", "a.b", "$", "x" * 3000, "\\u001b[31m", "trial", "hits")]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return FORMATS["store"].make(tmp_path_factory.mktemp("store"))


def changed(value, rng):
    """A copy of a JSON value with one part replaced."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = sorted(value)[rng.integers(len(value))]
        other = {k: v for k, v in value.items() if k != key}
        return other if rng.random() < 0.2 else {**other, key: changed(value[key], rng)}
    return VALUES[rng.integers(len(VALUES))]


def _json(column, table="tasks"):
    def change(raw, rng):
        rows = raw.execute(f"SELECT id, {column} FROM {table} WHERE json_valid({column})").fetchall()
        if not rows:
            return
        number, text = _one(rows, rng)
        new = json.dumps(changed(json.loads(text), rng)) if rng.random() < 0.8 else _one(TEXTS, rng)
        raw.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (new, number))

    return change


def _number(table, column):
    where = "trial = 1" if table == "trials" else "true"

    def change(raw, rng):
        value = _one(NUMBERS, rng)
        raw.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {where}", (value,))

    return change


def _text(table, column):
    def change(raw, rng):
        raw.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (str(_one(VALUES, rng)),))

    return change


def _counts(raw, rng):
    values = _one(TEXTS + NAMES, rng), int(rng.integers(3))
    raw.execute("UPDATE trials SET counts = ? WHERE trial = ?", values)


def _one(values, rng):
    return values[rng.integers(len(values))]


def _forget(table):
    return lambda raw, rng: raw.execute(f"DELETE FROM {table}")


CHANGES = [
    *[_json("description")] * 4, *[_json("facts")] * 2, _json("versions", "runs"),
    *(_number("trials", column) for column in ("task", "trial", "run", "shots", "hits", "seconds")),
    *(_number("tasks", column) for column in ("id", "seed", "planned")), _number("failures", "task"),
    _text("tasks", "key"), _text("tasks", "stop"), _text("runs", "started"), _text("runs", "command"),
    _text("failures", "error"), _counts, _forget("runs"), _forget("tasks"), _forget("trials"),
]  # fmt: skip


def test_a_store_with_anything_in_it_gives_a_result_or_one_line(good, tmp_path, capfd):
    before = taken_MB()
    rng = np.random.default_rng(SEED)
    results = 0
    for number in range(COUNT // 5):  # each is read in five ways
        path = tmp_path / f"{number}.db"
        shutil.copy(good, path)
        raw = sqlite3.connect(path)
        for trigger in ("trials_stay", "trials_last"):
            raw.execute(f"DROP TRIGGER {trigger}")
        for _ in range(rng.integers(1, 3)):
            CHANGES[rng.integers(len(CHANGES))](raw, rng)
        raw.commit()
        raw.close()
        try:
            results += settled(lambda path=path: use_store(path))
        except BaseException as error:
            raise AssertionError(f"change {number}, kept as {path}") from error
        page = tmp_path / "page.html"
        assert not page.exists() or "<script>alert" not in page.read_text()
        path.unlink()
    assert 0 < results < COUNT // 5
    assert taken_MB() <= max(before, MEMORY_MB)
    assert "Traceback" not in capfd.readouterr().err
