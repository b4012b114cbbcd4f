"""What lies where a data set was looked for, and which of its layouts that nearly is."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

MOST = 8  # names shown of a folder
Layouts = Mapping[str, Sequence[str]]  # a layout's name -> files and folders that it needs, under the data set's folder


class Part(NamedTuple):
    """A file or folder of a layout: what stands in its place ("" = nothing), and whether it is the very one."""

    name: str
    instead: str
    there: bool


def nearest(root: Path, places: Sequence[str], layouts: Layouts) -> str:
    """Lines for the message of a data set that was not found: what was seen, which layout comes closest, what differs.

    Args:
        root: the data root.
        places: the candidate folders under it; "" = the root itself.
        layouts: those that the data set is read in.
    """
    if not root.is_dir():
        return f"There is no folder {root}."
    named = [root / place for place in places if place and (root / place).is_dir()]
    lines = [f"Seen: {_contents(folder)}" for folder in named or [root]]
    if not named and (like := _alike_places(root, places)):
        lines.append(f"{root / like[0]} looks like it: rename it to {like[1]}, or name another root.")
        named = [root / like[0]]
    found = [(name, folder, _parts(folder, parts)) for folder in [*named, root] for name, parts in layouts.items()]
    scored = [(_score(parts), name, folder, parts) for name, folder, parts in found]
    if best := max((entry for entry in scored if entry[0] > 0), key=lambda entry: entry[0], default=None):
        _, name, folder, parts = best
        lines.append(f"Closest is {name}, in {folder}: {'; '.join(map(_say, parts))}.")
    return "\n".join(lines)


def _contents(folder: Path) -> str:
    """`folder: a/, b/, 12 .jpg`."""
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    folders = [f"{name}/" for name in names if (folder / name).is_dir()]
    endings = Counter(Path(name).suffix.lower() or name for name in names if f"{name}/" not in folders)
    lone = {Path(name).suffix.lower(): name for name in names if f"{name}/" not in folders}
    files = [lone.get(ending, ending) if n == 1 else f"{n:,} {ending}" for ending, n in endings.most_common(MOST)]
    shown = [*folders[:MOST], *([f"{len(folders) - MOST:,} more folders"] if len(folders) > MOST else []), *files]
    return f"{folder}: {', '.join(shown) or 'nothing'}"


def _alike_places(root: Path, places: Sequence[str]) -> tuple[str, str] | None:
    """A folder of the root whose name is nearly a candidate's, and that candidate."""
    for place in filter(None, places):
        if (like := _alike(place, [name for name in os.listdir(root) if (root / name).is_dir()])) is not None:
            return like, place
    return None


def _alike(name: str, names: Sequence[str]) -> str | None:
    lower = {other.lower(): other for other in sorted(names)}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.75)
    return lower[near[0]] if near else None


def _parts(folder: Path, parts: Sequence[str]) -> list[Part]:
    return [_find(folder, part) for part in parts]


def _find(folder: Path, part: str) -> Part:
    """Goes down to a part by the names that are most alike."""
    place, exact = folder, True
    for name in Path(part).parts:
        names = os.listdir(place) if place.is_dir() else []
        like = name if name in names else _alike(name, names)
        if like is None:
            return Part(part, "", False)
        exact, place = exact and like == name, place / like
    return Part(part, str(place.relative_to(folder)), exact)


def _score(parts: Sequence[Part]) -> float:
    return sum(1.0 if part.there else 0.5 if part.instead else 0.0 for part in parts) / len(parts)


def _say(part: Part) -> str:
    if part.there:
        return f"{part.name} is there"
    return f"{part.name} is not" + (f", but {part.instead} is" if part.instead else "")
