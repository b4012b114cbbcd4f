"""Checksums of files' contents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path


def content_hashes(paths: Sequence[str]) -> list[str]:
    """A checksum of each file."""
    return [hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest() for path in paths]
