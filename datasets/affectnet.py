"""AffectNet with seven or eight classes; the validation set is the test set, for no other is public.

Mollahosseini, Hasani and Mahoor, "AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in the
Wild", IEEE Transactions on Affective Computing 2017. Read from the CSV release, from the newer one with npy files, and
from copies in class folders (DAN, POSTER). Ids 8 to 10 (none, uncertain, no face) are dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from mpafer.common.options import option
from mpafer.datasets.affectnet_files import LABEL, Face, Found, find_lists, read_csv, read_npy
from mpafer.datasets.crops import crop_faces
from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.folders import read_splits
from mpafer.datasets.items import Item, MissingDataError, Splits, log
from mpafer.datasets.labels import AFFECTNET_IDS, in_order
from mpafer.datasets.mirrors import read_mirror
from mpafer.datasets.numbers import NumberedOptions, class_of
from mpafer.datasets.remembered import remembered
from mpafer.prompting.expressions import CLASSES

TRAIN = (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)
PICTURES = ("Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images")
NO_CLASS = {8: "none", 9: "uncertain", 10: "no face"}  # in some class folders too
NPY_SPLITS = {"train": "train_set", "test": "val_set"}


@dataclass(frozen=True)
class AffectNetOptions(NumberedOptions):
    """``DATASET``."""

    face_box: float = -1.0  # the CSV release: cut to the face and this share a side; below 0 = whole
    test_share: float = option(0.0, least=0.0, most=0.9)  # of a copy without a split: so much is tested


@register_dataset
class AffectNet8(FERDataset):
    """Eight classes."""

    Options = AffectNetOptions
    options: AffectNetOptions
    folders = ("AffectNet", "affectnet", "Affectnet", "AffectNet8", "AffectNet7", "")
    classes: tuple[str, ...] = CLASSES
    tree = """\
AffectNet/ (or affectnet/; or its contents right here)
  Manually_Annotated_file_lists/training.csv validation.csv (or both right here)
  Manually_Annotated_Images/1/*.jpg ...
or, of the newer release,
  train_set/images/0.jpg ... train_set/annotations/0_exp.npy ... val_set/
or, in class folders,
  train/{0,1,2,3,4,5,6,7}/*.jpg (AffectNet's ids; or train/happy/ ...) val/ (or valid/ or test/)
or YOLO folders (train/images/, train/labels/*.txt, data.yaml), train/*.jpg with train_labels.csv, one labels.csv, or
parquet shards (data/train-*.parquet ...)
"""
    layouts = {  # noqa: RUF012
        "the CSV release": (
            "Manually_Annotated_file_lists/training.csv",
            "Manually_Annotated_file_lists/validation.csv",
            "Manually_Annotated_Images",
        ),
        "the npy release": ("train_set/images", "train_set/annotations", "val_set/images", "val_set/annotations"),
        "class folders by number": ("train/0", "val/0"),
        "class folders by name": ("train/happy", "val/happy"),
        "YOLO folders": ("train/images", "train/labels", "valid/images", "valid/labels"),
    }
    access = "signed licence, by a professor or lab manager, research only: http://mohammadmahoor.com/affectnet/"

    def read(self, folder: Path) -> Splits | None:
        if (folder / "train_set" / "annotations").is_dir():
            self.set_published(499)  # one image of contempt fewer than in the CSV release
            return {split: self.read_npy(folder / name) for split, name in NPY_SPLITS.items()}
        if lists := find_lists(folder):
            self.set_published(500)
            return {split: self.read_csv(source, folder) for split, source in lists.items()}
        self.set_published(500)
        splits = read_mirror(self, folder, "affectnet", also=NO_CLASS)
        return splits or read_splits(folder, self.classes, self.problems, self.numbers)

    def numbers(self, present: Collection[int]) -> Mapping[int, str]:
        """What the ids of the files or folders mean."""
        return self.number_classes(present, "affectnet", also=NO_CLASS)

    def set_published(self, contempt: int) -> None:
        test = (*7 * (500,), contempt)
        self.published = {
            "train": in_order(AFFECTNET_IDS, TRAIN, self.classes), "test": in_order(AFFECTNET_IDS, test, self.classes)
        }  # fmt: skip

    def read_npy(self, folder: Path) -> list[Item]:
        """train_set/ or val_set/."""
        images, notes = folder / "images", folder / "annotations"
        if not (images.is_dir() and notes.is_dir()):
            raise MissingDataError(f"{self.name}: expected the folders {images} and {notes}")
        found = Found.of(
            *remembered([images, notes], "AffectNet npy 4", lambda: read_npy(images, notes), (notes, LABEL))
        )
        faces = self.choose(found, images)
        return self.items(faces, [f"{images}/{face.file}" for face in faces])

    def read_csv(self, source: Path, folder: Path) -> list[Item]:
        """One list of the CSV release, cut to the faces if DATASET.FACE_BOX says so."""
        pictures = next((folder / name for name in PICTURES if (folder / name).is_dir()), None)
        if pictures is None:
            raise MissingDataError(f"{source} is there, but not its images: expected {folder / PICTURES[0]}/1/*.jpg")
        sources = [source, pictures, *sorted(place for place in pictures.iterdir() if place.is_dir())]
        found = Found.of(*remembered(sources, "AffectNet csv 3", lambda: read_csv(source, pictures)))
        faces = self.choose(found, pictures)
        paths = [f"{pictures}/{face.file}" for face in faces]
        if self.options.face_box < 0:
            self.warn_of_two_labels(faces, source)
        else:
            paths = self.cut(faces, paths, source, folder)
        return self.items(faces, paths)

    def warn_of_two_labels(self, faces: list[Face], source: Path) -> None:
        """Of whole pictures that stand in the list with several ids, as for several faces: all are taken."""
        ids: dict[str, set[int]] = {}
        for face in faces:
            ids.setdefault(face.file, set()).add(face.emotion)
        if several := [file for file, found in ids.items() if len(found) > 1]:
            log.warning(
                "%s: %s pictures stand in %s with several labels, for example %s: each is taken with all of them "
                "(DATASET.FACE_BOX 0 cuts the faces out)", self.name, f"{len(several):,}", source, several[0],
            )  # fmt: skip

    def cut(self, faces: list[Face], paths: list[str], source: Path, folder: Path) -> list[str]:
        """The faces cut out of the pictures; where one has no usable box, the whole picture."""
        boxed = {i: face for i, face in enumerate(faces) if face.box}
        if without := len(faces) - len(boxed):
            log.warning("%s: %s faces have no usable box, their whole picture is taken", self.name, f"{without:,}")
        crops = crop_faces(
            [paths[i] for i in boxed],
            [face.box for face in boxed.values()],
            [f"{source}, line {face.line} (DATASET.FACE_BOX -1 takes whole pictures)" for face in boxed.values()],
            folder,
            self.problems,
            margin=self.options.face_box,
            names=[f"{Path(face.file).stem}_{face.line}" for face in boxed.values()],  # several faces in one picture
        )
        cut = dict(zip(boxed, crops, strict=True))
        return [cut.get(i, path) for i, path in enumerate(paths)]

    def choose(self, found: Found, place: Path) -> list[Face]:
        """The faces of our classes; what is passed over is counted."""
        skipped = self.problems.skipped
        for what, files in found.faults.items():
            for file in files:
                skipped.add(what, f"{place}/{file}")
        if all(face.emotion in NO_CLASS for face in found.faces):
            raise MissingDataError(f"{self.name}: none of the images listed was found under {place}")
        ids = {**self.numbers(AFFECTNET_IDS.keys()), **NO_CLASS}
        names = {number: class_of(ids, number) for number in {face.emotion for face in found.faces}}
        for face in found.faces:
            if names[face.emotion] not in self.classes:
                skipped.leave_out_class(names[face.emotion], f"{place}/{face.file}")
        return [face for face in found.faces if names[face.emotion] in self.classes]

    def items(self, faces: list[Face], paths: list[str]) -> list[Item]:
        ids = self.numbers(AFFECTNET_IDS.keys())
        labels = (self.classes.index(ids[face.emotion]) for face in faces)
        return [Item(path, label) for path, label in zip(paths, labels, strict=True)]


@register_dataset
class AffectNet7(AffectNet8):
    """Seven classes; the images of contempt are left out."""

    classes = CLASSES[:7]
