"""CK+, the extended Cohn-Kanade data set: a test set for models trained elsewhere, or ten folds by subject.

Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR Workshops 2010. A sequence goes from a neutral face to the
peak of its expression: its first frame is neutral, its last one shows the expression. Read from the sequences, from
the mirror CK+48 in class folders, or from ckextended.csv.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpafer.common.options import option
from mpafer.datasets.ckplus_files import (
    NEUTRALS,
    Frame,
    cut_faces,
    find_folder,
    read_mirror,
    read_sequences,
    subject_folds,
)
from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.items import Item, Splits, log
from mpafer.datasets.labels import CKEXTENDED_IDS, CKPLUS_IDS, in_order
from mpafer.datasets.numbers import NumberedOptions, class_of
from mpafer.datasets.pixels import read_pixels
from mpafer.prompting.expressions import CLASSES

SEQUENCES = (0, 45, 18, 59, 25, 69, 28, 83)  # with a label, in the order of CKPLUS_IDS
FIRST_FRAMES = {"labelled": 327, "all": 593, "none": 0}
FOLDS = 10


@dataclass(frozen=True)
class CKPlusOptions(NumberedOptions):
    """``DATASET``."""

    neutral: str = option("used", choices=tuple(NEUTRALS))  # which first frames are the neutral faces
    frames: int = option(1, least=1)  # last frames of a sequence
    fold: int = option(0, least=0, most=FOLDS)  # 1 to 10: that one is tested; 0 = all of it
    face_box: float = -1.0  # cut to the face and this share a side; below 0 = whole


@register_dataset
class CKPlus(FERDataset):
    """Seven classes: without contempt, and neutral from first frames (DATASET.NEUTRAL)."""

    Options = CKPlusOptions
    options: CKPlusOptions
    training_elsewhere = ": DATASET.FOLD, 1 to 10, gives nine tenths of it to training"
    folders = ("CK+", "CKPlus", "ckplus", "ck+", "CKPLUS", "CK+48", "")
    tree = """\
CK+/ (or CKPlus/, ckplus/; or its contents right here)
  cohn-kanade-images/S005/001/S005_001_00000001.png ...
  Emotion/S005/001/S005_001_00000011_emotion.txt
  Landmarks/S005/001/S005_001_00000011_landmarks.txt (to cut out the faces; else DATASET.FACE_BOX -1)
or, already cut and without neutral,
  CK+48/{anger,contempt,disgust,fear,happy,sadness,surprise}/S010_004_00000017.png ...
or ckextended.csv (emotion,pixels,Usage)
"""
    layouts = {  # noqa: RUF012
        "the sequences": ("cohn-kanade-images", "Emotion", "Landmarks"),
        "CK+48": ("CK+48/surprise", "CK+48/anger"),
        "the CSV of pixels": ("ckextended.csv",),
    }
    access = "signed agreement, by its form: http://www.jeffcohn.net"

    def read(self, folder: Path) -> Splits | None:
        options = self.options
        if images := find_folder(folder, "cohn-kanade-images", "extended-cohn-kanade-images"):
            ids = self.number_classes(CKPLUS_IDS.keys(), "ckplus")
            frames = read_sequences(
                folder, images, self.classes, ids, options.neutral, options.frames, self.problems.skipped
            )
            used = sum(in_order(CKPLUS_IDS, SEQUENCES, self.classes))
            self.set_published(options.frames, {**FIRST_FRAMES, "used": used}[options.neutral])
            if options.face_box >= 0:
                frames = cut_faces(frames, folder, options.face_box, self.problems)
        elif (mirror := next((p for p in (folder / "CK+48", folder) if (p / "surprise").is_dir()), None)) is not None:
            frames = read_mirror(mirror, self.problems)
            self.set_published(3, 0)
        elif (pixels := folder / "ckextended.csv").is_file():
            rows = read_pixels(pixels, len(CKEXTENDED_IDS))
            ids = self.number_classes(CKEXTENDED_IDS.keys(), "ckextended")
            frames = [Frame(row.impath, class_of(ids, row.emotion), "") for row in rows]
            self.set_published(1, FIRST_FRAMES["all"])
        else:
            return None
        return self.divide(frames, folder)

    def set_published(self, frames: int, neutral: int) -> None:
        """Published images per class: `frames` of each labelled sequence, and so many neutral ones."""
        counts = [frames * count for count in SEQUENCES]
        counts[0] = neutral
        self.published = {} if self.options.fold else {"test": in_order(CKPLUS_IDS, counts, self.classes)}

    def divide(self, frames: list[Frame], folder: Path) -> Splits:
        """The whole set as test, or fold DATASET.FOLD as test and the nine others as training."""
        ours = [frame for frame in frames if frame.name in self.classes]
        for frame in frames:
            if frame.name not in self.classes:
                self.problems.skipped.leave_out_class(frame.name, frame.impath)
        items = [Item(frame.impath, self.classes.index(frame.name)) for frame in ours]
        if absent := [name for i, name in enumerate(self.classes) if i not in {item.label for item in items}]:
            log.warning("%s: no image of %s; means over classes leave it out", self.name, ", ".join(absent))
        if not self.options.fold:
            return {"test": items}
        folds = subject_folds(frames, folder, FOLDS)
        tested = [folds.get(frame.subject) == self.options.fold for frame in ours]
        return {
            "train": [item for item, is_test in zip(items, tested, strict=True) if not is_test],
            "test": [item for item, is_test in zip(items, tested, strict=True) if is_test],
        }


@register_dataset
class CKPlus8(CKPlus):
    """Contempt too."""

    classes = CLASSES
