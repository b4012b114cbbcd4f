"""CK+'s sequences and their labels on disk -> frames with a class and a subject."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mpafer.common.errors import DataError, OptionError
from mpafer.common.texts import read_text
from mpafer.datasets.crops import crop_faces
from mpafer.datasets.folders import class_folders, read_class_folders
from mpafer.datasets.items import MissingDataError, Problems
from mpafer.datasets.walking import Skipped
from mpafer.prompting.expressions import CLASSES

# Whose first frames are the neutral images: the sequences of our classes, all labelled ones, all, none.
NEUTRALS = ("used", "labelled", "all", "none")
UNLABELLED, BETWEEN = "frames of sequences without a label", "frames that DATASET.FRAMES and NEUTRAL do not ask for"
FRAME = re.compile(r"(S\d+)_(\d+)_(\d+)\.png")  # subject, sequence, frame


class Frame(NamedTuple):
    """One image, its canonical class, and the subject ("" = not known); `labelled`: its sequence has a label."""

    impath: str
    name: str
    subject: str
    labelled: bool = True


def find_folder(folder: Path, *names: str) -> Path | None:
    """The first that exists of the names, or of a name inside another: zip files are often unpacked a level deeper."""
    places = [folder / name for name in names] + [folder / a / b for a in names for b in names]
    there = [place for place in places if place.is_dir()]
    return max(there, key=lambda place: len(place.parts), default=None)


def read_sequences(
    folder: Path, images: Path, classes: Sequence[str], ids: Mapping[int, str], neutral: str, last: int,
    skipped: Skipped,
) -> list[Frame]:  # fmt: skip
    """The `last` frames of each labelled sequence, and first frames as neutral, sorted by subject and sequence.

    Sequences of other classes than `classes` are read too: folds are dealt over all labelled subjects.

    A sequence without a file in Emotion/, whose folder may be empty or absent, has no label. A first frame that is
    also among the last ones is not neutral.

    Raises:
        MissingDataError: no folder of labels, or a labelled frame is missing.
        DataError: a label that is none; its file is named.
    """
    emotions = find_folder(folder, "Emotion", "Emotion_labels")
    if emotions is None:
        expected = folder / "Emotion/S005/001/S005_001_00000011_emotion.txt"
        raise MissingDataError(f"{images} is there, but not its labels: expected {expected} and so on")
    found: list[Frame] = []
    missing: list[str] = []
    for sequence in sorted(place for subject in images.iterdir() if subject.is_dir() for place in subject.iterdir()):
        if not sequence.is_dir():
            continue
        subject = sequence.parent.name
        frames = sorted(name for name in os.listdir(sequence) if FRAME.fullmatch(name))
        label = read_label(emotions / subject / sequence.name, ids)
        whole, before = frames, len(found)
        if label:
            name, peak = label
            if f"{peak}.png" not in frames:
                missing.append(f"{sequence}/{peak}.png")
                continue
            frames = frames[: frames.index(f"{peak}.png") + 1]
            found += [Frame(f"{sequence}/{frame}", name, subject) for frame in frames[-last:]]
        wanted = {"used": label and label[0] in classes, "labelled": label, "all": True, "none": False}[neutral]
        if wanted and frames[: -last if label else None]:
            found.append(Frame(f"{sequence}/{frames[0]}", "neutral", subject, bool(label)))
        used = {os.path.basename(frame.impath) for frame in found[before:]}
        for frame in whole:
            if frame not in used:
                skipped.leave_out(BETWEEN if label else UNLABELLED, f"{sequence}/{frame}")
    if missing:
        first = "\n".join(f"  {path}" for path in missing[:5])
        raise MissingDataError(f"{len(missing)} labelled frames are missing, the first:\n{first}")
    if not any(frame.labelled for frame in found):
        raise MissingDataError(f"no labelled sequence: nothing in {images} has a label in {emotions}")
    return found


def read_label(place: Path, ids: Mapping[int, str]) -> tuple[str, str] | None:
    """A sequence's folder in Emotion/ -> its class and the name of its last frame, without ending."""
    ending = "_emotion.txt"
    files = sorted(name for name in os.listdir(place) if name.endswith(ending)) if place.is_dir() else []
    if not files:
        return None
    text = read_text(place / files[-1])
    try:
        return ids[float(text.split()[0])], files[-1].removesuffix(ending)  # type: ignore[index] # 3.0 is 3
    except (IndexError, KeyError, ValueError):
        known = f"{min(ids)} to {max(ids)}"
        raise DataError(f"{place / files[-1]}: expected a number from {known}, read {text!r}") from None


def cut_faces(frames: Sequence[Frame], folder: Path, margin: float, problems: Problems) -> list[Frame]:
    """The frames cut to the box of their 68 landmarks and a margin."""
    landmarks = find_folder(folder, "Landmarks")
    boxes, sources = [], []
    for path in (Path(frame.impath) for frame in frames):
        source = (landmarks or folder / "Landmarks") / path.parts[-3] / path.parts[-2] / f"{path.stem}_landmarks.txt"
        if not source.is_file():
            raise MissingDataError(
                f"no landmarks to cut the faces by: expected {source}; unpack Landmarks, or take whole frames with "
                "DATASET.FACE_BOX -1"
            )
        try:
            numbers = [float(number) for number in read_text(source).split()]
            xs, ys = numbers[::2], numbers[1::2]
            box = min(xs), min(ys), max(xs), max(ys)
        except ValueError:
            raise DataError(f"{source}: expected rows of x and y") from None
        boxes.append(" ".join(map(str, box)))
        sources.append(str(source))
    crops = crop_faces([frame.impath for frame in frames], boxes, sources, folder, problems, margin=margin)
    return [frame._replace(impath=crop) for frame, crop in zip(frames, crops, strict=True)]


def read_mirror(folder: Path, problems: Problems) -> list[Frame]:
    """CK+48's class folders; the subject is read from names like S010_004_00000017.png."""
    items = read_class_folders(folder, class_folders(folder), CLASSES, problems)
    subjects = [FRAME.fullmatch(os.path.basename(item.impath)) for item in items]
    return [
        Frame(item.impath, CLASSES[item.label], match[1] if match else "")
        for item, match in zip(items, subjects, strict=True)
    ]


def subject_folds(frames: Sequence[Frame], folder: Path, folds: int) -> dict[str, int]:
    """Subject -> fold: those with a label in ascending order, dealt out in turn; others are always trained on.

    The rule is that of the published list (Open-Debin/Emotion-FAN): fold k has the subjects k, k + 10, k + 20 ...

    Raises:
        OptionError: an image whose subject is not known.
    """
    if unknown := [frame.impath for frame in frames if not frame.subject]:
        raise OptionError(
            f"DATASET.FOLD: folds are by subject, and {folder} does not tell them, as of {unknown[0]}: take the "
            "sequences (cohn-kanade-images), or FOLD 0"
        )
    subjects = sorted({frame.subject for frame in frames if frame.labelled})
    return {subject: place % folds + 1 for place, subject in enumerate(subjects)}
