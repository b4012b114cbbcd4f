"""What is made or looked up once: files beside the data set, and lists of what big folders hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mpafer.common.files import cache_folder
from mpafer.common.sealed import UnfitError, key_of, read_sealed, write_sealed
from mpafer.datasets.items import log
from mpafer.inputs.hashing import content_hashes, stamp_of
from mpafer.inputs.png import damage

END = b"\xff\xd9"  # of a JPEG file


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


def kept(folder: Path, what: str = "whole images 2") -> set[str]:
    """The names of the whole PNG and JPEG files in a folder of made images; one that a crash left cut short is not.

    A PNG file's checksums and another one's end are looked at once, and again when its size or times changed.
    """
    with os.scandir(folder) as entries:
        stamps = {entry.name: stamp_of(entry.stat()) for entry in entries if entry.is_file()}
    path, key = cache_folder("lists") / f"{key_of([what, os.path.realpath(folder)])}.json", what
    seen = _recall(path, key) or {}
    new = [name for name, stamp in stamps.items() if seen.get(name) != stamp and _is_whole(folder / name)]
    whole = {name: stamp for name, stamp in stamps.items() if seen.get(name) == stamp} | {n: stamps[n] for n in new}
    if whole != seen:
        _keep(path, key, whole, f"whole images in {folder}")
    return whole.keys() & stamps.keys()


def _is_whole(path: Path) -> bool:
    """Whether a PNG file has its checksums, a JPEG its end; of others, whether it is not empty."""
    if path.suffix not in (".png", ".jpg", ".jpeg"):
        return path.stat().st_size > 0
    try:
        if path.suffix == ".png":
            return not damage(path.read_bytes())
        with open(path, "rb") as file:
            file.seek(-len(END), os.SEEK_END)
            return file.read() == END
    except OSError:  # shorter than any image, or gone
        return False


def remembered(
    sources: Sequence[Path], what: str, scan: Callable[[], Sequence[Any]], read: tuple[Path, str] | None = None
) -> Sequence[Any]:
    """The list of plain values that `scan` makes, or made when `sources` were the same as now.

    Kept as a JSON file in the user's cache, under a key of the sources' paths. It is made again where it is damaged,
    the contents of a file are others, or a folder changed: its times do when a file comes or goes in it. A cache that
    cannot be written to is a warning.

    Args:
        sources: files and folders that the list depends on.
        what: a name for the list, part of the key: change it when `scan` changes.
        read: a folder, and the ending of those of its files whose contents the list depends on; they are as they were
            where their sizes, times and inodes are.

    Raises:
        UnreadableImageError: a source that is a file and cannot be read; it is named.
    """
    key = key_of([what, [os.fspath(source) for source in sources]])
    path = cache_folder("lists") / f"{key}.json"
    files = [source for source in sources if not source.is_dir()]
    hashes = dict(zip(files, content_hashes(files), strict=True))
    state = [hashes.get(source) or stamp_of(source.stat()) for source in sources]
    state += [_stamps(*read)] if read else []
    if (entry := _recall(path, key)) is not None:
        if entry[0] == state:
            return entry[1]
        log.info("the list of %s is made again: what it was made from has changed", what)
    found = scan()
    _keep(path, key, [state, found], what)
    return found


def _stamps(folder: Path, ending: str) -> str:
    """Of the stamps of a folder's files, in one word: a quarter of a million in two seconds."""
    with os.scandir(folder) as entries:
        stamps = sorted([entry.name, *stamp_of(entry.stat())] for entry in entries if entry.name.endswith(ending))
    return key_of(stamps)


def _recall(path: Path, key: str) -> Any:
    try:
        return read_sealed(path, key)
    except FileNotFoundError:
        pass
    except (OSError, UnfitError) as error:
        log.warning("%s is made again: %s", path, error)
    return None


def _keep(path: Path, key: str, content: Any, what: str) -> None:
    try:
        write_sealed(path, key, content)
    except OSError as error:
        log.warning("the list of %s is not kept, %s cannot be written: %s", what, path, error)
