"""Faces cut out of whole photographs, once: a data set's records hold image files and nothing else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from mpafer.common.errors import DataError, UserError
from mpafer.common.files import keep_folder
from mpafer.datasets.items import Problems
from mpafer.datasets.remembered import kept, save_image
from mpafer.inputs.reading import READER, read_image

MARGIN = 0.1  # of the box's side, added on each side, as public cross-data-set benchmarks do for RAF-DB
QUALITY = 95  # of the JPEG files written


def crop_faces(
    photographs: Sequence[str],
    boxes: Sequence[str],
    sources: Sequence[str],
    beside: Path,
    problems: Problems,
    *,
    margin: float = MARGIN,
    names: Sequence[str] = (),
) -> list[str]:
    """Cut each photograph to its box and a margin.

    The crops are kept in `beside`/mpafer_crops/KEY, or, that being read-only, in ~/.cache/mpafer/crops/KEY.
    KEY covers the names, the boxes, the margin, the quality and the reader's version. Each file appears whole or not
    at all, so an interrupted or a parallel run does no harm; deleting the folder makes the crops anew.

    Args:
        photographs: image files.
        boxes: `x_min y_min x_max y_max` in pixels of the upright photograph, one for each.
        sources: where each box was read, for the message.
        beside: the data set's folder.
        problems: told of what cannot be cut.
        margin: share of the box's side that is added on each side.
        names: the crops' names without ending, each once; default: the photographs'.

    Returns:
        The paths of the crops, in the order given; the photograph's where cutting failed and that is only noted.

    Raises:
        DataError: by ``problems``: a box that is not four numbers, or encloses nothing of its photograph; the file is
            named.
        UnreadableImageError: by ``problems``: a photograph that cannot be read.
    """
    names = names or [Path(path).stem for path in photographs]
    identity = repr(
        (READER, margin, QUALITY, [os.path.basename(path) for path in photographs], list(names), list(boxes))
    )
    folder = keep_folder(beside, "crops") / hashlib.sha256(identity.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    targets = [folder / f"{name}.jpg" for name in names]
    there = kept(folder)
    faces = [str(target) for target in targets]
    jobs = [i for i, target in enumerate(targets) if target.name not in there]
    for i in tqdm(jobs, desc=f"faces -> {folder}", disable=not jobs):
        try:
            photograph = read_image(photographs[i])
            face = photograph.crop(face_box(boxes[i], photograph.size, sources[i], margin))
        except UserError as error:
            problems.report(error)
            faces[i] = photographs[i]
            continue
        save_image(face, targets[i], "JPEG", quality=QUALITY, subsampling=0)
    return faces


def face_box(text: str, size: tuple[int, int], source: str, margin: float) -> tuple[int, int, int, int]:
    """The annotated box with its margin, cut at the borders of an image of `size` (width, height)."""
    try:
        left, top, right, bottom = (float(number) for number in text.split())
    except ValueError:
        raise DataError(f"{source}: expected four numbers x_min y_min x_max y_max, read {text!r}") from None
    dx, dy = margin * (right - left), margin * (bottom - top)
    box = (
        max(round(left - dx), 0),
        max(round(top - dy), 0),
        min(round(right + dx), size[0]),
        min(round(bottom + dy), size[1]),
    )
    if box[0] >= box[2] or box[1] >= box[3]:
        raise DataError(f"{source}: the box {text.strip()!r} encloses nothing of an image of {size[0]} x {size[1]}")
    return box
