"""Images decoded once, in a memory-mapped file that all runs on the same data share: where it lies, when it is made."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock

from mpafer.common.files import TEMPORARY, atomic_file, cache_folder, keep_folder
from mpafer.common.progress import progress
from mpafer.common.sealed import UnfitError, key_of
from mpafer.inputs.decoded import VERSION, Decode, ImageStore, Table
from mpafer.inputs.first_read import read_image_content
from mpafer.inputs.hashing import Content, remember
from mpafer.inputs.reading import READER, UnreadableImageError, read_image

CHUNK, SAMPLE = 256, 16  # images decoded at a time; images from whose size that of all is estimated
IN_USE = 24 * 3600  # seconds after its last use for which a store is never deleted


class NoStoreError(Exception):
    """Why there is no store and, with this disk and these options, will be none."""


def open_store(paths: Sequence[str], decode: Decode, what: str, beside: Path, gigabytes: float) -> ImageStore:
    """The store of these images, made on first use; processes that start at once wait for the first.

    Args:
        paths: image files; where the contents of one have changed, all are decoded anew.
        decode: called by several threads.
        what: all that ``decode`` depends on, in words.
        beside: the data's folder: the store lies in it, or in the user's cache where that is read-only.
        gigabytes: what the stores there may take together.

    Raises:
        UnreadableImageError: an image file that cannot be read.
        NoStoreError: it would be too big, or cannot be written.
    """
    key = key_of([VERSION, READER, PIL.__version__, what, [os.fspath(path) for path in paths]])
    refused: Exception | None = None
    for folder in dict.fromkeys((keep_folder(beside, "fast"), cache_folder("fast"))):
        path = folder / f"{key}.u8"
        try:
            store = _fitting(path, key, paths, decode)
            if store is None:
                folder.mkdir(parents=True, exist_ok=True)
                with FileLock(folder / ".lock"):
                    store = _fitting(path, key, paths, decode, say=True)
                    if store is None:
                        _write(path, key, paths, decode, gigabytes)
                        store = ImageStore(path, key, paths, decode)
            store.touch()
            return store
        except UnreadableImageError:
            raise
        except PermissionError as error:  # the folder is another user's: into one's own
            refused = error
        except (OSError, NotImplementedError, UnfitError) as error:  # the second: a disk that knows no locks
            raise NoStoreError(f"the decoded images cannot be kept in {folder} ({error})") from error
    raise NoStoreError(f"the decoded images cannot be kept ({refused})")


def _fitting(path: Path, key: str, paths: Sequence[str], decode: Decode, *, say: bool = False) -> ImageStore | None:
    """The store, if it is there, whole, and of these images as they are now; ``say`` what is wrong with it."""
    try:
        store = ImageStore(path, key, paths, decode)
        if store.is_current():
            return store
        reason = "images have changed"
    except FileNotFoundError:
        return None
    except UnfitError as error:
        reason = str(error)
    if say:
        print(f"* the decoded images in {path} are made again: {reason}")
    return None


def _write(path: Path, key: str, paths: Sequence[str], decode: Decode, gigabytes: float) -> None:
    sample = paths[:: -(-len(paths) // SAMPLE)]
    estimate = sum(decode(read_image(image)).nbytes for image in sample) / len(sample) * len(paths)
    room = _room(path.parent, estimate, gigabytes)
    table, contents = Table(key), []
    with atomic_file(path) as file:
        for array, content in _decoded(paths, decode):
            file.write(array.data)
            table.add(array, content)
            contents.append(content)
            if table.end > room:
                raise NoStoreError(_too_big(table.end, path.parent, gigabytes))
        file.write(table.to_bytes())
    remember(contents)
    print(f"* {len(paths):,} images decoded, kept in {path} ({table.end / 1e9:.2f} GB)")


def _decoded(paths: Sequence[str], decode: Decode) -> Iterator[tuple[np.ndarray, Content]]:
    """In order; threads, as decoding and waiting for a disk release Python's lock."""

    def read(path: str) -> tuple[np.ndarray, Content]:
        image, content = read_image_content(path)
        return decode(image), content

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in progress(range(0, len(paths), CHUNK), f"decoding, {CHUNK} images a step,"):
            yield from pool.map(read, paths[start : start + CHUNK])


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
