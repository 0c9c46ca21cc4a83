"""Damaged and hostile copies of a file: bytes changed, moved, cut; numbers and words replaced."""

import re

NUMBERS = [
    b"0", b"-1", b"1e308", b"1e-320", b"nan", b"inf", b"-0.0", b"9" * 400, b"2147483648",
    b"18446744073709551616", b"4.0", b"true", b"null", b'""', b"[]", b"{}", b"1_0", b"0x10", b"010",
]  # fmt: skip
WORDS = [
    b"", b"\x1b[31m", b"\x00", b"\xff\xfe", "\u202e".encode(), b"a" * 5000, b"../" * 20 + b"etc/passwd",
    b"/dev/zero", b"%s%n", b"{0.__class__}", b"$\\frac{", b"<script>", b"'; DROP TABLE trials; --",
    b"[" * 2000, b'{"a":' * 2000,
    b"\r\n", b'"', b"'", b"\\", b"!!python/object:os.system", b"__import__('os')",
]  # fmt: skip
NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")
WORD = re.compile(rb"[A-Za-z_][A-Za-z_-]{2,}")


def mutate(content, rng):
    """One to three changes of some bytes, drawn from a numpy Generator."""
    found = bytes(content)
    for _ in range(rng.integers(1, 4)):
        found = CHANGES[rng.integers(len(CHANGES))](found, rng)
    return found


def _place(content, rng):
    return int(rng.integers(len(content) + 1))


def _flip(content, rng):
    copy = bytearray(content)
    if copy:
        copy[rng.integers(len(copy))] ^= 1 << int(rng.integers(8))
    return bytes(copy)


def _bytes(content, rng):
    at, size = _place(content, rng), int(rng.integers(1, 9))
    value = [b"\x00", b"\xff", b"\x7f", rng.bytes(1)][rng.integers(4)] * size
    return content[:at] + value + content[at + size :]


def _cut(content, rng):
    return content[: _place(content, rng)]


def _drop(content, rng):
    start, end = sorted((_place(content, rng), _place(content, rng)))
    return content[:start] + content[min(end, start + 200) :]


def _again(content, rng):
    start, at = _place(content, rng), _place(content, rng)
    return content[:at] + content[start : start + int(rng.integers(1, 200))] + content[at:]


def _insert(content, rng):
    at = _place(content, rng)
    return content[:at] + WORDS[rng.integers(len(WORDS))] + content[at:]


def _replace(pattern, values):
    def change(content, rng):
        found = list(pattern.finditer(content[:200_000]))
        if not found:
            return _flip(content, rng)
        start, end = found[rng.integers(len(found))].span()
        return content[:start] + values[rng.integers(len(values))] + content[end:]

    return change


CHANGES = [_flip, _bytes, _cut, _drop, _again, _insert, _replace(NUMBER, NUMBERS), _replace(WORD, WORDS)]
