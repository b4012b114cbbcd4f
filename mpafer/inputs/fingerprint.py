"""What a run's data are: a fingerprint of each split, by the images' contents, or else by names, sizes and labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from mpafer.common.identity import NOT_READ
from mpafer.common.sealed import key_of
from mpafer.inputs.hashing import Stamp, content_hashes, known_hashes, stamp_of

MANY = 50_000  # more images are not read for this alone, which would take minutes: only if they were read before
LEFT_OUT = 1_000  # of these so many are: an epoch leaves out its incomplete last batch


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
    most = MANY if sum(map(len, splits.values())) <= MANY else LEFT_OUT
    for split, images in splits.items():
        files = _Files(images)
        named = zip(_names(files.paths, root), files.sizes, files.labels, strict=True)
        found[split] = f"{len(images)} images {key_of(list(named))}"
        found[f"{split}_contents"] = f"{len(images)} images {of}" if (of := files.of_contents(most)) else NOT_READ
    return found


def once_read(splits: Mapping[str, Sequence[Image]], before: Mapping[str, str]) -> dict[str, str]:
    """Those ``<split>_contents`` of a `data_fingerprint` that were `NOT_READ`, where enough was read since."""
    unknown = [split for split in splits if before.get(f"{split}_contents") == NOT_READ]
    found = {split: _Files(splits[split]).of_contents(LEFT_OUT) for split in unknown}
    return {f"{split}_contents": f"{len(splits[split])} images {of}" for split, of in found.items() if of}


def texts_fingerprint(texts: Mapping[str, str | Sequence[str]]) -> str:
    """Of class descriptions, in the classes' order; of a class with several of all, in theirs."""
    return f"{len(texts)} texts {key_of(list(texts.items()))}"


class _Files:
    """The images whose files are there, which those of a test set's training images are not: each is looked at once."""

    def __init__(self, images: Sequence[Image]) -> None:
        self.paths, self.labels, self.sizes, self.stamps = list[str](), list[int](), list[int](), list[Stamp]()
        for image in images:
            if stat := _stat(image.impath):
                self.paths.append(image.impath)
                self.labels.append(image.label)
                self.sizes.append(stat.st_size)
                self.stamps.append(stamp_of(stat))

    def of_contents(self, most: int) -> str:
        """Of contents and labels; at most so many files are read for this, "" where more would have to be."""
        hashes = known_hashes(self.paths, self.stamps)
        missing = [i for i, digest in enumerate(hashes) if digest is None]
        if len(missing) > most:
            return ""
        for i, digest in zip(missing, content_hashes([self.paths[i] for i in missing]), strict=True):
            hashes[i] = digest
        return key_of(list(zip(hashes, self.labels, strict=True)))


def _stat(path: str) -> os.stat_result | None:
    """Of a regular file; None where there is none."""
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        return None
    return stat if S_ISREG(stat.st_mode) else None


def _names(paths: Sequence[str], root: str) -> Iterator[str]:
    """Below the root, or in a cache by their last two parts, which are alike on every machine."""
    folders: dict[str, str] = {}
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            relative = os.path.relpath(folder or os.curdir, root)
            below = Path(folder).name if relative.startswith("..") else relative
            folders[folder] = "" if below in ("", os.curdir) else f"{below}{os.sep}"
        yield f"{folders[folder]}{name}"
