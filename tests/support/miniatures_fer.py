"""Tiny AffectNet, FER2013, FERPlus, CK+ and class folders: true names and syntax, invented labels, images of noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from support.miniatures import noise, write

CLASSES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "contempt")
AFFECTNET = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
USAGES = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}


def tally(data: Iterable[Any]) -> dict[str, int]:
    """Class name -> how many of the records are of it."""
    return dict(Counter(datum.classname for datum in data))


# --- AffectNet

AFFECTNET_HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)
LANDMARKS = ";".join(f"{i}.50" for i in range(136))
SIZE = (48, 40)  # of the pictures
BOX = "8,6,30,24"  # face_x,face_y,face_width,face_height


def affectnet_name(number: int) -> str:
    """A path as in the lists: sub-folder, 56 hexadecimal digits, endings of mixed case."""
    ending = (".jpg", ".JPG", ".png")[number % 3]
    return f"{number % 2 + 1}/{number:056x}{ending}"


def affectnet_row(name: str, emotion: int | str, box: str = BOX) -> str:
    pleasure = "-2,-2" if emotion in (9, 10) else "0.785714,-0.055556"
    return f"{name},{box},{LANDMARKS},{emotion},{pleasure}"


def make_affectnet_csv(
    root: Path, base: str = "AffectNet", lists: str = "Manually_Annotated_file_lists", header: bool = True
) -> Path:
    """All eleven ids, two training rows and one validation row each. Returns the folder of both lists and images."""
    folder, number = root / base, 0
    for name, each in (("training", 2), ("validation", 1)):
        rows = [AFFECTNET_HEADER] if header else []
        for emotion in range(11):
            for _ in range(each):
                rows.append(affectnet_row(affectnet_name(number), emotion))
                noise(folder / "Manually_Annotated_Images" / affectnet_name(number), SIZE, number)
                number += 1
        write(folder / lists / f"{name}.csv", "\n".join(rows) + "\n")
    return folder


def make_affectnet_npy(root: Path, base: str = "AffectNet") -> Path:
    """Ids with gaps, the same ones in both splits, one of them with zeros in front; labels as texts."""
    folder = root / base
    for split, each in (("train_set", 2), ("val_set", 1)):
        for place in ("images", "annotations"):
            (folder / split / place).mkdir(parents=True)
        for i in range(8 * each):
            stem = "0000005" if i == 3 else str(2 * i)
            noise(folder / split / "images" / f"{stem}.jpg", (16, 16), i)
            for part, value in {"exp": str(i % 8), "val": "-0.25", "aro": "0.5", "lnd": np.zeros(136)}.items():
                np.save(folder / split / "annotations" / f"{stem}_{part}.npy", value)
    return folder


# --- class folders


def make_folders(folder: Path, splits: Mapping[str, Sequence[str]], each: int = 1, stem: str = "image") -> Path:
    """`each` images in every class folder of every split; a split named "" puts the class folders right there."""
    for number, (split, names) in enumerate(splits.items()):
        for j, name in enumerate(names):
            for i in range(each):
                noise(folder / split / name / f"{stem}_{split}_{j}_{i}.png", (16, 16), 1000 * number + 10 * j + i)
    return folder


# --- pixels in CSV files


def pixels(seed: int) -> str:
    return " ".join(map(str, np.random.default_rng(seed).integers(0, 256, 48 * 48)))


def fer2013_rows(each: int = 1, emotions: int = 7) -> list[tuple[int, str, str]]:
    """Emotion, pixels and split; the splits in blocks."""
    triples = [(emotion, split) for split in USAGES for emotion in range(emotions) for _ in range(each)]
    return [(emotion, pixels(seed), split) for seed, (emotion, split) in enumerate(triples)]


def make_fer2013(
    root: Path,
    name: str = "fer2013/fer2013.csv",
    form: str = "{emotion},{pixels},{usage}",
    header: str = "emotion,pixels,Usage",
    rows: Sequence[tuple[int, str, str]] = (),
) -> Path:
    """The CSV of pixels. Returns it."""
    lines = [
        form.format(emotion=emotion, pixels=text, usage=USAGES[split])
        for emotion, text, split in rows or fer2013_rows()
    ]
    write(root / name, "\n".join([header, *lines]) + "\n")
    return root / name


# Votes for neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, no face, with the class that
# the official rule makes of them ("" = dropped). The first four are the kinds of row that the rule distinguishes.
VOTES = (
    ((4, 0, 0, 1, 3, 2, 0, 0, 0, 0), ""),  # no majority
    ((6, 0, 1, 1, 0, 0, 0, 0, 2, 0), "neutral"),
    ((1, 0, 0, 1, 2, 3, 1, 1, 1, 0), "disgust"),  # 3 of the 5 votes that are left without single ones
    ((1, 0, 3, 1, 0, 0, 1, 0, 4, 0), ""),  # unknown wins
    ((0, 0, 0, 0, 0, 0, 0, 0, 0, 10), ""),  # no face
    ((3, 0, 0, 1, 0, 1, 0, 5, 0, 0), "contempt"),
    ((0, 10, 0, 0, 0, 0, 0, 0, 0, 0), "happiness"),
    ((0, 0, 9, 0, 0, 0, 1, 0, 0, 0), "surprise"),
    ((2, 0, 0, 8, 0, 0, 0, 0, 0, 0), "sadness"),
    ((0, 0, 0, 0, 7, 3, 0, 0, 0, 0), "anger"),
    ((0, 0, 3, 0, 0, 0, 7, 0, 0, 0), "fear"),
    ((5, 5, 0, 0, 0, 0, 0, 0, 0, 0), ""),  # a tie: five is not more than half of ten
)
NAMELESS = 4  # the row without a name in the training part
FERPLUS_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def ferplus_ballots() -> list[tuple[str, str, tuple[int, ...], str]]:
    """Split, name, votes and the official class: every kind of row in every split, names that skip numbers."""
    ballots, number = [], 0
    for split in USAGES:
        for i, (votes, name) in enumerate(VOTES):
            number += 1 + (i == 2)
            nameless = split == "train" and i == NAMELESS
            ballots.append((split, "" if nameless else f"fer{number:07d}.png", votes, name))
    return ballots


def make_ferplus(root: Path, base: str = "ferplus") -> Path:
    """The two CSV files, to be joined row by row. Returns their folder."""
    ballots = ferplus_ballots()
    make_fer2013(root, f"{base}/fer2013.csv", rows=[(0, pixels(i), b[0]) for i, b in enumerate(ballots)])
    write_votes(root / base / "fer2013new.csv", ballots)
    return root / base


def write_votes(path: Path, ballots: Sequence[tuple[str, str, tuple[int, ...], str]]) -> None:
    lines = [",".join([USAGES[split], name, *map(str, votes)]) for split, name, votes, _ in ballots]
    write(path, "\n".join([FERPLUS_HEADER, *lines]) + "\n")


def make_ferplus_parts(root: Path, base: str = "ferplus", labels: bool = True) -> Path:
    """The folders that microsoft/FERPlus writes, with a label.csv in each."""
    parts = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}
    lines: dict[str, list[str]] = {split: [] for split in parts}
    for seed, (split, name, votes, _) in enumerate(ferplus_ballots()):
        if name:
            grey(root / base / parts[split] / name, (48, 48), seed)
            lines[split].append(",".join([name, '"(0, 0, 48, 48)"', *map(str, votes)]))
    for split, part in parts.items() if labels else ():
        write(root / base / part / "label.csv", "\n".join(lines[split]) + "\n")
    return root / base


def grey(path: Path, size: tuple[int, int], seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(seed).integers(0, 256, (size[1], size[0]), dtype=np.uint8)
    Image.fromarray(data).save(path)


# --- CK+

# subject, sequence, emotion's id or None, numbers of the frames. Ids: 1 anger, 2 contempt, 3 disgust, 4 fear, 5 happy,
# 6 sadness, 7 surprise.
CK_SEQUENCES = (
    ("S005", "001", 3, (1, 2, 3, 4)),
    ("S010", "001", None, (1, 2, 3)),  # an empty folder in Emotion/
    ("S010", "002", 7, (1, 2, 3, 5)),  # a gap
    ("S011", "001", 2, (1, 2, 3)),  # contempt, and nothing else of this subject
    ("S014", "001", 5, (1,)),  # one frame: it is the expression, and not neutral too
    ("S022", "001", None, (1, 2)),  # no folder in Emotion/, and no label of this subject
    ("S026", "001", 1, (1, 2, 3)),
    ("S026", "002", 6, (1, 2, 3)),
    ("S028", "001", 4, (1, 2, 3, 4)),
)


def make_ckplus(
    root: Path,
    base: str = "CK+",
    images: str = "cohn-kanade-images",
    landmarks: bool = True,
    sequences: Sequence[tuple[str, str, int | None, tuple[int, ...]]] = CK_SEQUENCES,
) -> Path:
    """Nine sequences of seven subjects, one of them in colour, with junk beside the frames. Returns the base folder."""
    folder = root / base
    for seed, (subject, sequence, emotion, numbers) in enumerate(sequences):
        place = f"{subject}/{sequence}"
        for number in numbers:
            stem = f"{subject}_{sequence}_{number:08d}"
            draw = noise if subject == "S026" else grey
            draw(folder / images / place / f"{stem}.png", (64, 49), 10 * seed + number)
            if landmarks:
                points = [(20 + i % 20, 10 + i % 30) for i in range(68)]
                text = "".join(f"   {x:.7e}   {y:.7e}\n" for x, y in points)
                write(folder / "Landmarks" / place / f"{stem}_landmarks.txt", text)
        write(folder / images / place / ".DS_Store", "")
        write(folder / images / place / "Thumbs.db", "")
        if emotion is not None:
            write(folder / "Emotion" / place / f"{stem}_emotion.txt", f"   {emotion:.7e}\n")
    (folder / "Emotion/S010/001").mkdir(parents=True)
    write(folder / images / ".DS_Store", "")
    return folder


def make_ck48(root: Path, base: str = "CK+/CK+48") -> Path:
    """The mirror in class folders: three frames of each labelled sequence, no neutral."""
    names = ("", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    for seed, (subject, sequence, emotion, _) in enumerate(CK_SEQUENCES):
        for number in (15, 16, 17) if emotion else ():
            stem = f"{subject}_{sequence}_{number:08d}"
            grey(root / base / names[emotion or 0] / f"{stem}.png", (48, 48), 10 * seed + number)
    return root / base


def make_compound(root: Path, base: str = "RAF-DB/compound", name: str = "{split}_{i}", line: str = "") -> Path:
    """Two training images and a test image of each of the eleven classes."""
    rows = []
    for split, each in (("train", 2), ("test", 1)):
        for i in range(11 * each):
            stem = name.format(split=split, i=i)
            noise(root / base / "Image/aligned" / f"{stem}_aligned.jpg", (16, 16), i)
            rows.append(f"{stem}.jpg {i % 11 + 1}")
    write(root / base / "EmoLabel/list_patition_label.txt", "\n".join([*rows, line] if line else rows))
    return root / base
