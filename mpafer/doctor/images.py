"""What every image file is: readable, how large, and digests to compare it by. Light to import: workers do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from io import BytesIO
from typing import NamedTuple

from joblib import Parallel, cpu_count, delayed
from PIL import Image

from mpafer.common.progress import progress
from mpafer.inputs.reading import decode_image, open_image_file, reason_and_cure

THUMBNAIL = (18, 16)  # width, height; blocks of 2 x 2 make the 9 x 8 of a 64-bit difference hash
CHUNK = 64  # images a worker takes at a time
FEW = 8 * CHUNK  # below this, starting workers takes longer than reading


class Facts(NamedTuple):
    """One image file as training would see it; the fields after `error` are of readable files."""

    path: str
    missing: bool = False
    error: str = ""  # why it cannot be read
    size: tuple[int, int] = (0, 0)  # width, height
    flat: bool = False  # a single colour
    content: bytes = b""  # digest of the file's bytes
    pixels: bytes = b""  # digest of size and RGB pixels
    thumbnail: bytes = b""  # THUMBNAIL in grey


def read_images(paths: Iterable[str], jobs: int | None = None) -> dict[str, Facts]:
    """Facts on each path, read once, in order of appearance.

    Args:
        paths: image files, there or not, repetitions allowed.
        jobs: processes; default one a core, and one for a few images.
    """
    unique = list(dict.fromkeys(paths))
    jobs = jobs or (1 if len(unique) < FEW else cpu_count())
    chunks = [unique[start : start + CHUNK] for start in range(0, len(unique), CHUNK)]
    results = Parallel(n_jobs=jobs, return_as="generator")(delayed(_inspect_all)(chunk) for chunk in chunks)
    bar = progress(chunks, f"images, {CHUNK} a step,")
    return {facts.path: facts for _, part in zip(bar, results, strict=True) for facts in part}


def _inspect_all(paths: list[str]) -> list[Facts]:
    return [inspect(path) for path in paths]


def inspect(path: str) -> Facts:
    """Read and decode one file; nothing is raised."""
    try:
        with open_image_file(path) as file:
            content = file.read()
        rgb = decode_image(BytesIO(content))
    except FileNotFoundError:
        return Facts(path, missing=True)
    except Exception as error:  # Pillow raises many kinds on broken files
        return Facts(path, error=reason_and_cure(error)[0])
    return Facts(
        path,
        size=rgb.size,
        flat=rgb.getcolors(maxcolors=1) is not None,
        content=_digest(content),
        pixels=_digest(repr(rgb.size).encode() + rgb.tobytes()),
        thumbnail=rgb.convert("L").resize(THUMBNAIL, Image.Resampling.BOX).tobytes(),
    )


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
