"""What a run's data are: a fingerprint of each split, by the images' contents, or else by names, sizes and labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from mpafer.common.sealed import key_of
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
        sizes = [_size(image.impath) for image in images]
        there = [image for image, size in zip(images, sizes, strict=True) if size is not None]
        known = [size for size in sizes if size is not None]
        named = [(_name(image.impath, root), size, image.label) for image, size in zip(there, known, strict=True)]
        found[split] = f"{len(images)} images {key_of(named)}"
        contents = hashes([image.impath for image in there])
        if None not in contents:
            labelled = [(content, image.label) for content, image in zip(contents, there, strict=True)]
            found[f"{split}_contents"] = f"{len(images)} images {key_of(labelled)}"
    return found


def texts_fingerprint(texts: Mapping[str, str | Sequence[str]]) -> str:
    """Of class descriptions, in the classes' order; of a class with several of all, in theirs."""
    return f"{len(texts)} texts {key_of(list(texts.items()))}"


def _size(path: str) -> int | None:
    """Of a file in bytes; None where there is none, as of the records of a test set without training images."""
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        return None
    return stat.st_size if S_ISREG(stat.st_mode) else None


def _name(path: str, root: str) -> str:
    """Below the root, or in a cache by its last two parts, which are alike on every machine."""
    relative = os.path.relpath(path, root)
    return str(Path(*Path(path).parts[-2:])) if relative.startswith("..") else relative
