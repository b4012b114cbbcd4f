"""The names of results' folders. They are kept since the first version, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 120  # of the options' part, in characters
TITLE = "DATASET.TITLE"
Pairs = tuple[tuple[str, str], ...]


def slug(options: Iterable[tuple[str, str]]) -> str:
    """Options as a part of a folder's name, but for DATASET.TITLE, which `dataset_folder` has.

    ``TRAINER.<METHOD>.`` is dropped. Whatever cannot stand in a name, or is too long, is replaced and told apart by a
    checksum.
    """
    short = ((re.sub(r"^TRAINER\.[A-Z0-9]+\.", "", key), value) for key, value in options if key != TITLE)
    return plain("".join(f"_{key}={value}" for key, value in short))


def dataset_folder(dataset: str, options: Iterable[tuple[str, str]]) -> str:
    """A data set's name as a folder's; with DATASET.TITLE that is told too, and no more by `slug`."""
    title = dict(options).get(TITLE, "").strip()
    return f"{dataset}_{plain(title)}" if title else dataset


def plain(text: str) -> str:
    """A text as a part of a folder's name; one that cannot be such is told apart by a checksum."""
    raw = text.encode()
    clean = re.sub(rb"[^A-Za-z0-9._=+-]", b"-", raw)
    if clean == raw and len(clean) <= LONGEST:
        return clean.decode()
    return f"{clean[:100].decode()}_{checksum(raw)}"


def checksum(data: bytes) -> int:
    """POSIX cksum: a CRC-32 of the bytes and their number."""
    crc = 0
    length, number = b"", len(data)
    while number:
        length += bytes([number & 0xFF])
        number >>= 8
    for byte in data + length:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x104C11DB7 if crc & 0x80000000 else 0)
    return crc ^ 0xFFFFFFFF
