"""What image files hold, noted when they are first read: so many that nobody reads them for their hashes alone."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mpafer.inputs.hashing import Content, content_of, remember
from mpafer.inputs.reading import decode_image, open_image_file, read_image, unreadable

ROW = np.dtype([("stamp", "<i8", 4), ("digest", "V16"), ("settled", "?"), ("read", "?"), ("kept", "?")])


def read_image_content(path: str | Path) -> tuple[Image.Image, Content]:
    """An image as `reading.read_image` gives it, and the contents of the file that it was decoded from.

    Raises:
        UnreadableImageError: whatever is wrong with the file; it is named.
    """
    try:
        with open_image_file(path) as file:
            content = content_of(file, path, memory := BytesIO())
        return decode_image(memory), content
    except Exception as error:  # Pillow raises many kinds on broken files
        raise unreadable(path, error) from error


class FirstRead:
    """Reads images, each file's contents with it the first time, whichever process asks.

    Args:
        paths: the image files.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths
        # in shared memory: a loader's workers write, and the main process keeps
        self.memory = torch.zeros(len(paths) * ROW.itemsize, dtype=torch.uint8).share_memory_()

    @property
    def rows(self) -> np.ndarray:
        """Of each image: [N] of ROW, in the shared memory."""
        return self.memory.numpy().view(ROW)

    def read_image(self, number: int) -> Image.Image:
        """As `reading.read_image`, of the path of this number."""
        path, rows = self.paths[number], self.rows
        if rows["read"][number]:
            return read_image(path)
        image, content = read_image_content(path)
        rows[number] = (content.stamp, bytes.fromhex(content.digest), content.settled, True, False)
        return image

    def keep(self) -> int:
        """Remember what was noted since the last time; how many images were read so far."""
        rows = self.rows
        new = np.flatnonzero(rows["read"] & ~rows["kept"])
        remember(
            Content(self.paths[number], row["stamp"].tolist(), row["digest"].tobytes().hex(), bool(row["settled"]))
            for number, row in zip(new.tolist(), rows[new], strict=True)
        )
        rows["kept"][new] = True
        return int(rows["read"].sum())
