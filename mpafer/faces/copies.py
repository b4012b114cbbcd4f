"""Image files: where their faces lie, and aligned copies of them. Light to import: worker processes do.

Each process loads the detector once and uses one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, cpu_count, delayed
from PIL import Image

from mpafer.common.files import atomic_file
from mpafer.common.progress import progress
from mpafer.faces.alignment import Template, align, centre_square, template_of
from mpafer.faces.choice import marks_of
from mpafer.faces.detector import Detector, load_detector
from mpafer.faces.found import Faces
from mpafer.faces.opencv import load_cv2
from mpafer.inputs.reading import UnreadableImageError, read_image

CHUNK = 16  # images a worker takes at a time
MEASURED = 200  # images that a template is measured on
# The formats in which a copy keeps its file's name, and how they are written; of another one it is name.png.
FORMATS: dict[str, dict[str, int | bool]] = {
    "JPEG": {"quality": 95, "subsampling": 0}, "PNG": {}, "WEBP": {"lossless": True}, "BMP": {}, "TIFF": {}, "PPM": {},
}  # fmt: skip
ALIGNED, SQUARE, LEFT_OUT, UNREADABLE = "aligned", "no face: centre square", "no face: left out", "unreadable"


@dataclass(frozen=True)
class How:
    """How copies are made.

    Args:
        detector: as `load_detector` takes it.
        template: where eyes and mouth go.
        size: a copy's side in pixels.
        skip: leave out an image without a face; else its centre square is kept.
    """

    detector: str
    template: Template
    size: int
    skip: bool = False


class Copied(NamedTuple):
    """A line of the list: what was done with an image."""

    image: str  # path below the source
    faces: str  # their number; "" = not looked for
    done: str  # ALIGNED, the largest of N, SQUARE, LEFT_OUT, or UNREADABLE and why
    marks: str = ""  # of the face: small, cut, unsure
    copy: str = ""  # path below the target


def copy_name(image: str) -> str:
    """The name of an image's copy: its own, where copies are written in its format."""
    form = Image.registered_extensions().get(Path(image).suffix.lower())
    return image if form in FORMATS else f"{image}.png"


def copy_aligned(source: Path, target: Path, images: Sequence[str], how: How) -> list[Copied]:
    """Write aligned copies of image files, of the largest face in each; their paths are relative to the source."""
    return [_copy(source, target, image, how) for image in images]


def _copy(source: Path, target: Path, image: str, how: How) -> Copied:
    try:
        pixels = np.asarray(read_image(source / image))
    except UnreadableImageError as error:
        return Copied(image, "", f"{UNREADABLE}: {error}")
    height, width = pixels.shape[:2]
    faces = _detector(how.detector).find(pixels)
    name, marks = copy_name(image), ""
    if len(faces):
        done = ALIGNED if len(faces) == 1 else f"the largest of {len(faces)}"
        marks = " ".join(marks_of(faces, 0, height, width))
        crop = align(pixels, faces.landmarks[0], how.template, how.size)
    elif how.skip:
        return Copied(image, "0", LEFT_OUT)
    else:
        done, crop = SQUARE, centre_square(pixels, how.size)
    form = Image.registered_extensions()[Path(name).suffix.lower()]
    with atomic_file(target / name) as file:
        Image.fromarray(crop).save(file, form, **FORMATS[form])
    return Copied(image, str(len(faces)), done, marks, name)


def measure_files(detector: str, paths: Sequence[str | Path], jobs: int | None = None) -> Template | None:
    """`measure_template` on image files, on MEASURED of them at equal distances where there are more.

    Args:
        detector: as `load_detector` takes it.
        paths: image files; one that cannot be read counts as without a face.
        jobs: processes; default one a core.
    """
    count = min(len(paths), MEASURED)
    some = [paths[number * len(paths) // count] for number in range(count)]
    chunks = [some[start : start + CHUNK] for start in range(0, count, CHUNK)]
    results = Parallel(n_jobs=jobs or cpu_count(), return_as="generator")(
        delayed(_find_all)(detector, chunk) for chunk in chunks
    )
    bar = progress(chunks, f"where faces lie, {CHUNK} images a step,")
    found = [each for _, part in zip(bar, results, strict=True) for each in part]
    return template_of(found, load_detector(detector).name)


def _find_all(detector: str, paths: Sequence[str | Path]) -> list[tuple[Faces, int, int]]:
    return [_find(_detector(detector), path) for path in paths]


def _find(detector: Detector, path: str | Path) -> tuple[Faces, int, int]:
    try:
        pixels = np.asarray(read_image(path))
    except UnreadableImageError:
        return Faces.none(), 1, 1
    return detector.find(pixels), *pixels.shape[:2]


@cache
def _detector(name: str) -> Detector:
    load_cv2().setNumThreads(1)  # the processes share the cores
    return load_detector(name)
