"""What is made or looked up once: files beside the data set, and lists of what big folders hold."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mpafer.common.files import atomic_file, cache_folder, fingerprint
from mpafer.datasets.items import log


def save_image(image: Image.Image, target: Path, form: str, **options: Any) -> None:
    """Write an image that appears whole or not at all (no fsync: an image that is lost is made again)."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    image.save(draft, form, **options)
    os.replace(draft, target)


def save_bytes(content: bytes, target: Path) -> None:
    """Write a small file that appears whole or not at all, as `save_image` does."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.write_bytes(content)
    os.replace(draft, target)


def kept(folder: Path) -> set[str]:
    """The names of the files in a folder of made images; an empty one, which a crash left, is to be made again."""
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries if entry.is_file() and entry.stat().st_size}


def remembered(sources: Sequence[Path], what: str, scan: Callable[[], Sequence[Any]]) -> Sequence[Any]:
    """The list of plain values that `scan` makes, or made when `sources` were the same as now.

    Kept as a JSON file in the user's cache, under a key of each source's path, size and time of change: a folder's
    changes when a file comes or goes in it. A cache that cannot be written to is a warning.

    Args:
        sources: files and folders that the list depends on.
        what: a name for the list, part of the key: change it when `scan` changes.
    """
    path = cache_folder("lists") / f"{fingerprint(what, sources)}.json"
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read and is made again: %s", path, error)
    found = scan()
    try:
        with atomic_file(path) as file:
            file.write(json.dumps(found).encode())
    except OSError as error:
        log.warning("the list of %s is not kept, %s cannot be written: %s", what, path, error)
    return found
