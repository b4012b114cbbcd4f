"""Images at any depth under a folder; whatever of a data set is not used is counted by its reason."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from mpafer.inputs.reading import image_endings

ENDING, HIDDEN, UNREADABLE = "another ending", "hidden", "unreadable"
IRREGULAR, LOOP, OUTSIDE = "no regular file", "a link to a folder above it", "outside the class folders"
LEFT = "left by the system"
UNLISTED = "not listed"
SYSTEMS = {".ds_store", ".directory", ".gitkeep", "__macosx", "desktop.ini", "thumbs.db"}


class Skipped:
    """What of a data set is not used: reason -> paths, or places in lists; a folder passed over counts once."""

    def __init__(self) -> None:
        self.paths: dict[str, list[str]] = {}
        self.meant = {LEFT}  # reasons that ask for nothing
        self.spellings: Mapping[str, str] = {}  # class -> how the user writes it

    def add(self, reason: str, path: str) -> None:
        self.paths.setdefault(reason, []).append(path)

    def leave_out(self, reason: str, path: str) -> None:
        """Note what a data set's own rules leave out."""
        self.meant.add(reason)
        self.add(reason, path)

    def leave_out_class(self, name: str, path: str) -> None:
        """Note an image of what is no class here."""
        self.leave_out(f"of {self.spellings.get(name, name)}", path)

    @property
    def counts(self) -> dict[str, int]:
        """By reason, the most frequent first."""
        return {reason: len(paths) for reason, paths in sorted(self.paths.items(), key=lambda kv: -len(kv[1]))}

    @property
    def doubtful(self) -> bool:
        """Whether there is anything that may have been meant as an image."""
        return bool(self.paths.keys() - self.meant)

    def in_words(self) -> str:
        """`2 another ending (first: a/b.txt), 1 hidden (...)`."""
        return ", ".join(f"{n:,} {reason} (first: {self.paths[reason][0]})" for reason, n in self.counts.items())


def find_images(folder: str | Path, skipped: Skipped) -> list[str]:
    """The images under a folder, at any depth: their paths relative to it, sorted.

    An image is a regular file with one of `image_endings`, in any case. Hidden files are passed over.

    Args:
        folder: it is there.
        skipped: told of everything else.
    """
    found: list[str] = []
    places = [""]
    while places:
        under = places.pop()
        try:
            with os.scandir(os.path.join(folder, under)) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError:
            skipped.add(UNREADABLE, os.path.join(folder, under))
            continue
        for entry in entries:
            if reason := _reason(entry):
                skipped.add(reason, entry.path)
            else:
                (places if entry.is_dir() else found).append(os.path.join(under, entry.name))
    return sorted(found)


def note_outside(folder: str | Path, skipped: Skipped) -> None:
    """Note the images that lie right in a folder where only class folders are read."""
    with os.scandir(folder) as scanned:
        names = sorted(entry.name for entry in scanned if not _reason(entry) and not entry.is_dir())
    for name in names:
        skipped.add(OUTSIDE, os.path.join(folder, name))


def note_unlisted(images: Collection[str], skipped: Skipped) -> None:
    """Note the images that lie beside those in use, and of which nothing is known.

    Args:
        images: paths of those in use.
        skipped: its paths are known too.
    """
    known = set(images).union(*skipped.paths.values())
    for folder in sorted({os.path.dirname(path) for path in images}):
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            path = f"{folder}/{name}"
            if name.lower().endswith(image_endings()) and path not in known and not os.path.isdir(path):
                skipped.leave_out(UNLISTED, path)


def _reason(entry: os.DirEntry[str]) -> str:
    """Why an entry is passed over; "" = it is a folder to look into, or an image."""
    name = entry.name.lower()
    if name in SYSTEMS or name.startswith("._"):
        return LEFT
    if name.startswith("."):
        return HIDDEN
    if entry.is_dir():
        return LOOP if entry.is_symlink() and _leads_up(entry.path) else ""
    if not name.endswith(image_endings()):
        return ENDING
    if entry.is_file():
        return ""
    return IRREGULAR if os.path.exists(entry.path) else UNREADABLE  # the second: a link to nothing


def _leads_up(link: str) -> bool:
    target, here = os.path.realpath(link), os.path.realpath(os.path.dirname(link))
    return os.path.commonpath([target, here]) == target
