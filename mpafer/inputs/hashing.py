"""Hashes of files' contents, remembered: a file is read again only where its size, its times or its inode changed.

The memory lies in the user's cache, in parts of which each holds the files of some folders. It is the one place that
knows what a file held: keys of what is kept and fingerprints of data ask here.
"""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import xxhash
from filelock import FileLock

from mpafer.common.files import cache_folder
from mpafer.common.sealed import UnfitError, checksum, read_sealed, write_sealed
from mpafer.inputs.colours import RefusedImageError
from mpafer.inputs.reading import UnreadableImageError, open_regular, reason_and_cure

VERSION = 1  # of the memory's form, and of how a hash is made
PARTS = 64
SETTLED = 2.0  # seconds: of a file that changed later than that before it was read, the times may hide another change
BLOCK, TASK = 1 << 20, 128  # bytes read at a time; files that a thread is given at a time
THREADS = 8  # more than there may be cores: they wait for the disk
WAIT = 60.0  # seconds for another process to write its part of the memory
logger = logging.getLogger(__name__)
Stamp = list[int]  # what changes when a file does: size, time of change, time of its entry's change, inode
Part = dict[str, dict[str, list[Any]]]  # folder -> name -> stamp and hash


class Content(NamedTuple):
    """A file's hash, its stamp as it was read, and whether a later change is sure to change the stamp."""

    path: str
    stamp: Stamp
    digest: str
    settled: bool


def content_hashes(paths: Sequence[str | Path]) -> list[str]:
    """A hash of each file's contents, 32 hexadecimal digits; what is not known, or in doubt, is read by threads.

    Raises:
        UnreadableImageError: a file that is not there, cannot be read, or is no regular file; it is named.
    """
    found = known_hashes(paths)
    missing = dict.fromkeys(os.fspath(path) for path, digest in zip(paths, found, strict=True) if digest is None)
    read = {content.path: content for content in _read_all(list(missing))}
    remember(read.values())
    return [digest or read[os.fspath(path)].digest for path, digest in zip(paths, found, strict=True)]


def known_hashes(paths: Sequence[str | Path], stamps: Sequence[Stamp | None] | None = None) -> list[str | None]:
    """The same without reading any of the files: None where a file's contents are not known.

    Args:
        paths: the files.
        stamps: their stamps, where those were looked up already.
    """
    parts: dict[int, Part] = {}
    known: dict[str, dict[str, list[Any]]] = {}  # folder -> what is remembered of it
    found: list[str | None] = []
    for (folder, name), now in zip(_places(paths), stamps or map(stamp_now, paths), strict=True):
        if folder not in known:
            number = _part(folder)
            if number not in parts:
                parts[number] = _recall(number)
            known[folder] = parts[number].get(folder, {})
        stamp, digest = known[folder].get(name, (None, None))
        found.append(digest if stamp and stamp == now else None)
    return found


def read_content(path: str | Path) -> Content:
    """Read a file for its hash.

    Raises:
        RefusedImageError: no regular file.
        OSError: as `open`.
    """
    with open_regular(path) as file:
        return content_of(file, path)


def content_of(file: BinaryIO, path: str | Path, memory: BinaryIO | None = None) -> Content:
    """The same of a file that was just opened; it is read to its end, into ``memory`` where that is given."""
    number = file.fileno()
    before, now, digest = os.fstat(number), time.time(), xxhash.xxh3_128()
    while block := os.read(number, min(before.st_size + 1, BLOCK)):
        digest.update(block)
        if memory is not None:
            memory.write(block)
    stamp = stamp_of(before)
    settled = before.st_ctime < now - SETTLED and stamp == stamp_of(os.fstat(number))
    return Content(os.fspath(path), stamp, digest.hexdigest(), settled)


def remember(contents: Iterable[Content]) -> None:
    """Keep hashes of files that were read; a memory that cannot be written to is a warning."""
    settled = [content for content in contents if content.settled]
    folders: defaultdict[str, list[tuple[str, Content]]] = defaultdict(list)
    for content, (folder, name) in zip(settled, _places([content.path for content in settled]), strict=True):
        folders[folder].append((name, content))
    parts: defaultdict[int, list[str]] = defaultdict(list)
    for folder in folders:
        parts[_part(folder)].append(folder)
    try:
        for number, changed in parts.items():
            path = _path(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock"), timeout=WAIT):
                part = _recall(number)
                for folder in changed:
                    names = part.setdefault(folder, {})
                    names |= {name: [content.stamp, content.digest] for name, content in folders[folder]}
                write_sealed(path, _key(number), part)
    except (OSError, NotImplementedError) as error:  # the second: a disk that knows no locks
        logger.warning("hashes of files are not kept: %s", error)


def _read_all(paths: Sequence[str]) -> Iterator[Content]:
    tasks = [paths[start : start + TASK] for start in range(0, len(paths), TASK)]
    with ThreadPoolExecutor(THREADS) as pool:
        for contents in pool.map(_read_some, tasks):
            yield from contents


def _read_some(paths: Sequence[str]) -> list[Content]:
    found = []
    for path in paths:
        try:
            found.append(read_content(path))
        except (OSError, RefusedImageError) as error:
            reason, cure = reason_and_cure(error)
            raise UnreadableImageError(f"cannot read {path}: {reason}" + (f"; {cure}" if cure else "")) from error
    return found


def _recall(number: int) -> Part:
    path = _path(number)
    try:
        return read_sealed(path, _key(number))
    except FileNotFoundError:
        return {}
    except (OSError, UnfitError) as error:
        logger.warning("the hashes of files in %s are made again: %s", path, error)
        return {}


def stamp_now(path: str | Path) -> Stamp | None:
    """Of a file by its path; None where there is none: whoever reads it says what is wrong."""
    try:
        return stamp_of(os.stat(path))
    except (OSError, ValueError):
        return None


def stamp_of(stat: os.stat_result) -> Stamp:
    """What changes when a file, or the entries of a folder, do."""
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _places(paths: Iterable[str | Path]) -> Iterator[tuple[str, str]]:
    """Each path's folder, without links and dots, and its name."""
    folders: dict[str, str] = {}
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        yield folders[folder], name


def _part(folder: str) -> int:
    return int(checksum(folder), 16) % PARTS


def _path(number: int) -> Path:
    return cache_folder("contents") / f"{number:02d}.json"


def _key(number: int) -> str:
    return f"contents {VERSION} part {number} of {PARTS}"
