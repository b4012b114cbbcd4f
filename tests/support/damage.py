"""Damaged copies of a file: what disks, downloads, editors and people do to it; seeded."""

from __future__ import annotations

import random
from collections.abc import Callable

TOKENS = (
    b"", b"0", b"-1", b"3.7", b"1e999", b"nan", b"null", b"\x00", b"\xff\xfe", b"\xc3\x28", b"'", b'"', b"[", b"{",
    b"=cmd|' /C calc'!A0", b"../../../etc/passwd", b"\xe2\x80\xae", b"9" * 400, b"x" * 200_000, b"\r\n",
    b"!!python/object",
)  # fmt: skip


def flip(data: bytes, rng: random.Random) -> bytes:
    """Some bits, anywhere."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.choice((0, 1, rng.randrange(len(data)), len(data) - 1))]


def prolong(data: bytes, rng: random.Random) -> bytes:
    return data + rng.choice((b"\x00" * 100, data, rng.randbytes(1000)))


def overwrite(data: bytes, rng: random.Random) -> bytes:
    """A stretch becomes zeros or noise, as of a lost block."""
    start = rng.randrange(len(data))
    size = min(rng.choice((1, 16, 512, 4096)), len(data) - start)
    return data[:start] + rng.choice((bytes(size), rng.randbytes(size))) + data[start + size :]


def move(data: bytes, rng: random.Random) -> bytes:
    """A stretch stands elsewhere, twice or not at all."""
    a, b = sorted((rng.randrange(len(data)), rng.randrange(len(data))))
    part = data[a:b]
    return rng.choice((data[:a] + data[b:], data[:b] + part + data[b:], data[b:] + data[:b]))


def token(data: bytes, rng: random.Random) -> bytes:
    """A word becomes another one, or a line is lost or stands twice."""
    lines = data.splitlines(keepends=True)
    number = rng.randrange(len(lines))
    how = rng.randrange(3)
    if how == 0:
        lines[number] = b""
    elif how == 1:
        lines[number] *= 2
    else:
        separator = rng.choice((b" ", b",", b":", b"\t"))
        words = lines[number].split(separator)
        words[rng.randrange(len(words))] = rng.choice(TOKENS)
        lines[number] = separator.join(words)
    return b"".join(lines)


def replace(data: bytes, rng: random.Random) -> bytes:
    """Another kind of file altogether."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    return rng.choice((
        b"", b"<!DOCTYPE html><html>404</html>", pointer, b"[]", b"{}", b"1", b"null", b"\x89PNG\r\n\x1a\n",
        b"PK\x03\x04" + bytes(50), b"\x80\x02}q\x00.", rng.randbytes(300),
    ))  # fmt: skip


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (flip, cut, prolong, overwrite, move, token, replace)


def damaged(data: bytes, seed: int) -> bytes:
    """A copy with one damage or two; the same for the same seed."""
    rng = random.Random(seed)
    for _ in range(rng.choice((1, 1, 2))):
        data = rng.choice(DAMAGES)(data, rng) or (b"" if rng.random() < 0.5 else b"\n")
        if not data:
            break
    return data
