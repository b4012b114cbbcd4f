"""The file of decoded images: the arrays, one after the other, and a table of where each lies and what it should be."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from PIL import Image
from torch import Tensor

from mpafer.common.errors import DataError
from mpafer.common.sealed import UnfitError, checksum
from mpafer.inputs.first_read import read_image_content
from mpafer.inputs.hashing import Content, content_hashes, remember, stamp_now

VERSION = 3  # of the file's format; 1 had no checksums, 2 no stamps
SEAL = 16  # bytes at the end: checksum of the key and the table
ROW = np.dtype([
    ("place", "<i8", 4),  # offset and shape
    ("sum", "<u8"),  # of the array
    ("content", "V16"), ("stamp", "<i8", 4),  # of the image file
])  # fmt: skip
UNSETTLED, GONE = [-1] * 4, [-2] * 4  # instead of a stamp that may hide another change, or of no file's
Decode = Callable[[Image.Image], np.ndarray]  # as `read_image` gives it -> [a, b, c] uint8


class Table:
    """The rows of a file in the making."""

    def __init__(self, key: str) -> None:
        self.key, self.rows, self.end = key, list[tuple[Any, ...]](), 0

    def add(self, array: np.ndarray, content: Content) -> None:
        """An array that was written, and what the image file held that it was made of."""
        place, stamp = (self.end, *array.shape), content.stamp if content.settled else UNSETTLED
        self.rows.append((place, xxhash.xxh3_64_intdigest(array.data), bytes.fromhex(content.digest), stamp))
        self.end += array.nbytes

    def to_bytes(self) -> bytes:
        """What comes after the arrays."""
        rows = np.array(self.rows, ROW).tobytes()
        return rows + _seal(self.key, rows)


class ImageStore:
    """Three-dimensional uint8 arrays; ``store[i]`` is a tensor that must not be written to.

    Each array is compared with its checksum when a process reads it first; a damaged one is decoded again.

    Args:
        path: the file.
        key: of what made it.
        paths: the image files.
        decode: how their images became arrays.

    Raises:
        FileNotFoundError: there is no such file.
        UnfitError: its table is damaged, or it is another one's.
    """

    def __init__(self, path: Path, key: str, paths: Sequence[str], decode: Decode) -> None:
        self.path, self.key, self.paths, self.decode = path, key, paths, decode
        with open(path, "rb") as file:
            self.inode = os.fstat(file.fileno()).st_ino
            end = os.fstat(file.fileno()).st_size - ROW.itemsize * len(paths) - SEAL
            rows = b""
            if end > 0:
                file.seek(end)
                rows = file.read(ROW.itemsize * len(paths))
            if not rows or file.read() != _seal(key, rows):
                raise UnfitError("the file is damaged")
            # "c": torch wants memory that it may write to; what were written would never reach the file
            self.memory = np.asarray(np.memmap(file, np.uint8, "c", shape=(end,)))  # slices of a memmap take longer
        table = np.frombuffer(rows, ROW)
        self.places, self.sums = table["place"].copy(), table["sum"].tolist()
        self.contents, self.stamps = table["content"].copy(), table["stamp"].copy()
        self.bytes = torch.from_numpy(self.memory)
        # in shared memory: what one of a loader's workers has seen, and said, the others know
        self.checked = torch.zeros(len(paths) + 1, dtype=torch.bool).share_memory_().numpy()
        self.mended: dict[int, Tensor] = {}  # what could not be written into the file

    def __getitem__(self, number: int) -> Tensor:
        offset, a, b, c = self.places[number].tolist()
        if not self.checked[number] and not self._is_right(number):
            return self._mend(number)
        return self.bytes[offset : offset + a * b * c].view(a, b, c)

    def is_current(self) -> bool:
        """Whether the image files hold what the arrays were made of; those that changed since are read.

        Raises:
            UnreadableImageError: one that cannot be.
        """
        now = np.array([stamp_now(path) or GONE for path in self.paths])
        doubtful = np.flatnonzero((now != self.stamps).any(axis=1)).tolist()
        return content_hashes([self.paths[i] for i in doubtful]) == [self._content(i) for i in doubtful]

    def keep_contents(self) -> None:
        """Let the memory of files' contents know what the image files held."""
        rows = enumerate(zip(self.paths, self.stamps.tolist(), strict=True))
        remember(Content(os.fspath(path), stamp, self._content(i), stamp != UNSETTLED) for i, (path, stamp) in rows)

    def touch(self) -> None:
        """Note that it is in use, so that no other store takes its room."""
        with suppress(OSError):  # not ours to change, or gone by now: what is mapped stays
            os.utime(self.path)

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageStore, (self.path, self.key, self.paths, self.decode)  # a process that is sent it maps the file

    def _content(self, number: int) -> str:
        return self.contents[number].tobytes().hex()

    def _is_right(self, number: int) -> bool:
        """Compare an array with its checksum, and note where it is right."""
        offset, a, b, c = self.places[number].tolist()
        right = xxhash.xxh3_64_intdigest(self.memory[offset : offset + a * b * c].data) == self.sums[number]
        self.checked[number] = right
        return right

    def _mend(self, number: int) -> Tensor:
        """Decode a damaged array again, into the file where it may be written to.

        Raises:
            DataError: the image file has changed since the store was opened.
        """
        if number in self.mended:
            return self.mended[number]
        if not self.checked[-1]:
            self.checked[-1] = True
            print(f"* {self.path} is damaged: the images that suffered are decoded again", flush=True)
        path, place = self.paths[number], self.places[number].tolist()
        image, content = read_image_content(path)
        array = np.array(self.decode(image))
        if content.digest != self._content(number) or list(array.shape) != place[1:]:
            raise DataError(f"the image {path} changed while it was used: start the run again")
        if xxhash.xxh3_64_intdigest(array.data) == self.sums[number]:
            with suppress(OSError):  # not ours to change
                self._write(place[0], array)
        if self._is_right(number):
            return self[number]
        self.mended[number] = torch.from_numpy(array)
        return self.mended[number]

    def _write(self, offset: int, array: np.ndarray) -> None:
        with open(self.path, "r+b", buffering=0) as file:
            if os.fstat(file.fileno()).st_ino == self.inode:  # else another process has made the file anew
                file.seek(offset)
                file.write(array.data)


def _seal(key: str, rows: bytes) -> bytes:
    return bytes.fromhex(checksum(key, rows))
