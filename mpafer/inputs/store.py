"""Images decoded once, in a memory-mapped file that all runs on the same data share."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from filelock import FileLock
from torch import Tensor

from mpafer.common.files import TEMPORARY, atomic_file, cache_folder, fingerprint, keep_folder
from mpafer.common.progress import progress
from mpafer.inputs.reading import READER, UnreadableImageError

VERSION = 1  # of the file's format: the arrays, one after the other, then a row of int64 for each: offset and shape
CHUNK, SAMPLE = 256, 16  # images decoded at a time; images from whose size that of all is estimated
IN_USE = 24 * 3600  # seconds after its last use for which a store is never deleted
Decode = Callable[[str], np.ndarray]  # path -> [a, b, c] uint8


class NoStoreError(Exception):
    """Why there is no store and, with this disk and these options, will be none."""


class ImageStore:
    """``count`` three-dimensional uint8 arrays; ``store[i]`` is a tensor that must not be written to."""

    def __init__(self, path: Path, count: int) -> None:
        self.path, self.count = path, count
        rows = os.path.getsize(path) - 32 * count
        self.index = np.fromfile(path, np.int64, offset=rows).reshape(count, 4)
        # "c": torch wants memory that it may write to; what were written would never reach the file
        self.bytes = torch.from_numpy(np.memmap(path, np.uint8, "c", shape=(rows,)))

    def __getitem__(self, number: int) -> Tensor:
        offset, a, b, c = self.index[number].tolist()
        return self.bytes[offset : offset + a * b * c].view(a, b, c)

    def touch(self) -> None:
        """Note that it is in use, for `_room`."""
        with suppress(OSError):  # not ours to change, or gone by now: what is mapped stays
            os.utime(self.path)

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageStore, (self.path, self.count)  # a process that is sent it maps the file itself


def open_store(paths: Sequence[str], decode: Decode, what: str, beside: Path, gigabytes: float) -> ImageStore:
    """The store of these images, made on first use; processes that start at once wait for the first.

    Args:
        paths: image files; one that has changed since is decoded anew.
        decode: called by several threads.
        what: all that ``decode`` depends on, in words.
        beside: the data's folder: the store lies in it, or in the user's cache where that is read-only.
        gigabytes: what the stores there may take together.

    Raises:
        UnreadableImageError: by ``decode``.
        NoStoreError: it would be too big, or cannot be written.
    """
    try:
        name = f"{fingerprint([VERSION, READER, PIL.__version__, what], paths)}.u8"
    except OSError as error:
        raise UnreadableImageError(f"cannot read the image {error.filename}: {error.strerror}") from error
    refused: Exception | None = None
    for folder in dict.fromkeys((keep_folder(beside, "fast"), cache_folder("fast"))):
        path = folder / name
        try:
            if not path.is_file():
                folder.mkdir(parents=True, exist_ok=True)
                with FileLock(folder / ".lock"):
                    if not path.is_file():
                        _write(path, paths, decode, gigabytes)
            store = ImageStore(path, len(paths))
            store.touch()
            return store
        except UnreadableImageError:
            raise
        except PermissionError as error:  # the folder is another user's: into one's own
            refused = error
        except (OSError, NotImplementedError) as error:  # the second: a disk that knows no locks
            raise NoStoreError(f"the decoded images cannot be kept in {folder} ({error})") from error
    raise NoStoreError(f"the decoded images cannot be kept ({refused})")


def _write(path: Path, paths: Sequence[str], decode: Decode, gigabytes: float) -> None:
    sample = paths[:: -(-len(paths) // SAMPLE)]
    estimate = sum(decode(image).nbytes for image in sample) / len(sample) * len(paths)
    room = _room(path.parent, estimate, gigabytes)
    rows, offset = [], 0
    with atomic_file(path) as file:
        for array in _decoded(paths, decode):
            file.write(array.data)
            rows.append((offset, *array.shape))
            offset += array.nbytes
            if offset > room:
                raise NoStoreError(_too_big(offset, path.parent, gigabytes))
        file.write(np.array(rows, np.int64).data)
    print(f"* {len(paths):,} images decoded, kept in {path} ({offset / 1e9:.2f} GB)")


def _decoded(paths: Sequence[str], decode: Decode) -> Iterator[np.ndarray]:
    """In order; threads, as decoding and waiting for a disk release Python's lock."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in progress(range(0, len(paths), CHUNK), f"decoding, {CHUNK} images a step,"):
            yield from pool.map(decode, paths[start : start + CHUNK])


def _room(folder: Path, needed: float, gigabytes: float) -> float:
    """Bytes that a new store may take, under the folder's lock.

    To make room, if that helps, stores that have not been used for a day go, oldest first.
    """
    for rest in folder.glob(f".*{TEMPORARY}"):  # of a process that was killed while it held the lock
        rest.unlink(missing_ok=True)
    found = sorted((stat.st_mtime, stat.st_size, file) for file in folder.glob("*.u8") for stat in [file.stat()])
    old = [(size, file) for used, size, file in found if used < time.time() - IN_USE]
    room, free = gigabytes * 1e9 - sum(size for _, size, _ in found), shutil.disk_usage(folder).free
    gain = sum(size for size, _ in old)
    if needed > room + gain:
        raise NoStoreError(_too_big(needed, folder, gigabytes))
    if needed > free + gain:
        raise NoStoreError(f"decoded, the images take {needed / 1e9:.2f} GB, and {folder} has {free / 1e9:.2f} GB free")
    for size, file in old:
        if needed > min(room, free):
            file.unlink(missing_ok=True)
            room, free = room + size, free + size
    return min(room, free)


def _too_big(needed: float, folder: Path, gigabytes: float) -> str:
    return (
        f"decoded, the images take {needed / 1e9:.2f} GB or more, "
        f"which DATALOADER.FAST_GB {gigabytes:g} does not leave in {folder}"
    )
