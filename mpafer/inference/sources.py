"""What is to be looked at: files, folders at any depth, patterns, videos and cameras."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Literal

from mpafer.common.errors import MissingFileError
from mpafer.inputs.reading import image_endings

VIDEO_ENDINGS = (
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm",
    ".wmv",
)  # fmt: skip
CAMERA = "camera:"
Kind = Literal["picture", "video", "camera"]


@dataclass(frozen=True)
class Found:
    """A picture, a video or a camera, by its path or word."""

    kind: Kind
    path: str


def find_sources(word: str) -> list[Found]:
    """What a SOURCE names; files that lie in hidden folders or are hidden are passed over.

    Args:
        word: a file, a folder, a pattern as ``shots/**/*.jpg``, or ``camera:0``.

    Raises:
        MissingFileError: there is no such file, or a folder or pattern names no picture and no video.
    """
    if word.startswith(CAMERA):
        return [Found("camera", word)]
    path = os.path.expanduser(word)
    if os.path.isdir(path):
        if not (found := list(_in_folder(Path(path)))):
            raise MissingFileError(f"{word} holds no picture and no video")
        return found
    if not os.path.lexists(path) and has_magic(path):
        files = sorted(name for name in glob(path, recursive=True) if os.path.isfile(name))
        if not files:
            raise MissingFileError(f"{word}: no file is named so")
        return [Found(kind_of(name), name) for name in files]
    if not os.path.lexists(path):
        raise MissingFileError(f"{word} is not there")
    return [Found(kind_of(path), path)]


def kind_of(path: str) -> Kind:
    """What a file is taken for, by its ending."""
    return "video" if path.lower().endswith(VIDEO_ENDINGS) else "picture"


def split_run(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The older form ``RUN IMAGE...``: the run, and what follows it; "" = the first word names no run.

    It does where it is a run's folder, or a folder without pictures, or not there and without an ending.
    """
    first, *rest = words
    path = Path(first).expanduser()
    if path.is_dir():
        is_run = any((path / name).exists() for name in ("results.json", "prompts")) or not any(_in_folder(path))
    else:
        is_run = not (path.exists() or path.suffix or has_magic(first) or first.startswith(CAMERA))
    return (first, rest) if is_run and rest else ("", words)


def _in_folder(folder: Path) -> Iterator[Found]:
    endings = (*image_endings(), *VIDEO_ENDINGS)
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.name.lower().endswith(endings) and not hidden and path.is_file():
            yield Found(kind_of(path.name), str(path))
