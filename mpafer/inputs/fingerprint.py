"""What a run's data are: a fingerprint of each split, by the images' contents, or else by names, sizes and labels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from mpafer.inputs.hashing import content_hashes, known_hashes

MANY = 50_000  # more images are not read for this alone, which would take minutes: only if they were read before


class Image(Protocol):
    """An image file with its label, an index."""

    @property
    def impath(self) -> str: ...

    @property
    def label(self) -> int: ...


def data_fingerprint(splits: Mapping[str, Sequence[Image]], root: str) -> dict[str, str]:
    """Split -> number of images and a checksum of names, sizes and labels; ``<split>_contents`` -> of the contents.

    Args:
        splits: the images that were found, before any draw: so the seed plays no part.
        root: names are relative to it.
    """
    found: dict[str, str] = {}
    hashes = content_hashes if sum(map(len, splits.values())) <= MANY else known_hashes
    for split, images in splits.items():
        there = [image for image in images if os.path.isfile(image.impath)]
        named = [f"{_name(image.impath, root)}\0{os.stat(image.impath).st_size}\0{image.label}" for image in there]
        found[split] = f"{len(images)} images {_checksum(named)}"
        contents = hashes([image.impath for image in there])
        if None not in contents:
            words = [f"{content}\0{image.label}" for content, image in zip(contents, there, strict=True)]
            found[f"{split}_contents"] = f"{len(images)} images {_checksum(words)}"
    return found


def texts_fingerprint(texts: Mapping[str, str]) -> str:
    """Of class descriptions, in the classes' order."""
    return f"{len(texts)} texts {_checksum([f'{name}{chr(0)}{text}' for name, text in texts.items()])}"


def _checksum(words: Sequence[str]) -> str:
    return hashlib.blake2b("\1".join(words).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _name(path: str, root: str) -> str:
    """Below the root, or in a cache by its last two parts, which are alike on every machine."""
    relative = os.path.relpath(path, root)
    return str(Path(*Path(path).parts[-2:])) if relative.startswith("..") else relative
