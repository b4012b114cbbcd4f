"""JSON files of a cache that carry a checksum of their contents and the key of what made them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import xxhash

from mpafer.common.files import atomic_file


class UnfitError(Exception):
    """Why a kept file cannot be used; it is to be made again."""


def checksum(*parts: Any) -> str:
    """32 hexadecimal digits of bytes, arrays and texts, one after the other.

    XXH3 finds damage, at the speed of memory; it is no protection against somebody who forges files.
    """
    digest = xxhash.xxh3_128()
    for part in parts:
        digest.update(os.fsencode(part) if isinstance(part, str) else part)
    return digest.hexdigest()


def key_of(what: Any) -> str:
    """A name that changes with ``what``, which are plain values: 24 hexadecimal digits."""
    return checksum(json.dumps(what))[:24]


def write_sealed(path: Path, key: str, content: Any) -> None:
    """Write plain values, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    body = json.dumps(content).encode()
    with atomic_file(path) as file:
        file.write(_head(key, body) + body + b"}")


def read_sealed(path: Path, key: str) -> Any:
    """What `write_sealed` wrote under this key.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        UnfitError: it is damaged, or was made under another key.
    """
    data = path.read_bytes()
    body = data[len(_head(key, b"")) : -1]
    if data != _head(key, body) + body + b"}":
        raise UnfitError("it is damaged, or was made from something else")
    return json.loads(body)


def _head(key: str, body: bytes) -> bytes:
    """The file's beginning; its length depends on the key alone."""
    return f'{{"key": {json.dumps(key)}, "checksum": "{checksum(key, body)}", "content": '.encode()
