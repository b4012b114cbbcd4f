"""Damaged lists, YAML, labels and shards: a data set that is read, or a message of ours that names the file."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.miniatures import make_rafdb, write
from support.miniatures_lists import PICTURES, make_facial_expressions, make_pictures, make_shard, make_yolo

from mpafer.common.errors import UserError
from mpafer.datasets import find_dataset

ALPHABET = ["Anger", "Contempt", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"]
SCRAPS = [
    *(b"\0", b"\xff", b'"', b",", b"\t", b";", b"\n", b"\r", b" ", b"", b"3.7", b"-1", b"nan", b"1e400", b"../", b"99"),
    *(b"/etc/passwd", b"9" * 5000, b"x" * 200_000, b"{", b"[", b"names: 3", b"!!python/object:os.system", b"train"),
    *(b"happy", b"\xef\xbb\xbf", "é".encode(), "\u2028".encode()),
]


def own_list(root: Path) -> Path:
    folder = make_pictures(root / "ferfolder")
    write(folder / "labels.csv", "\n".join(["path,label,split", *map(",".join, PICTURES)]))
    return folder / "labels.csv"


def yolo_names(root: Path) -> Path:
    return make_yolo(root / "AffectNet", ALPHABET) / "data.yaml"


def shard(root: Path) -> Path:
    pytest.importorskip("pyarrow")
    make_shard(root / "fer2013/train.parquet", range(7), first=10)
    return make_shard(root / "fer2013/test.parquet", range(7))


SUBJECTS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "own list": ("FERFolder", own_list),
    "list of RAF-DB": ("RAFDB", lambda root: make_rafdb(root) / "EmoLabel/list_patition_label.txt"),
    "legend": ("FacialExpressions", lambda root: make_facial_expressions(root) / "data/legend.csv"),
    "names of YOLO": ("AffectNet8", yolo_names),
    "label of YOLO": ("AffectNet8", lambda root: yolo_names(root).parent / "train/labels/image0000003.txt"),
    "shard": ("FER2013", shard),
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    """One to three cuts, scraps or random bytes."""
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(content) + 1)
        end = min(len(content), start + rng.randrange(1, 30))
        noise = bytes(rng.randrange(256) for _ in range(end - start))
        content = rng.choice([
            content[:start] + content[end:],
            content[:start] + rng.choice(SCRAPS) + content[start:],
            content[:start] + rng.choice(SCRAPS) + content[end:],
            content[:start] + noise + content[end:],
            content[:start],
        ])  # fmt: skip
    return content


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("times", [30, pytest.param(400, marks=pytest.mark.slow)])
def test_damage_is_a_message_or_harmless(cfg, tmp_path, subject, times):
    name, make = SUBJECTS[subject]
    path = make(tmp_path)
    whole, rng = path.read_bytes(), random.Random(times)
    cfg.DATASET.LIST = "labels.csv" if name == "FERFolder" else ""
    find_dataset(name)(cfg)
    told = 0
    for _ in range(times):
        content = damaged(whole, rng)
        path.write_bytes(content)
        try:
            data = find_dataset(name)(cfg)
        except UserError as error:
            told += 1
            assert any(part in str(error) for part in (str(tmp_path), name, "unknown expression")), content[:200]
        else:
            assert all(Path(datum.impath).is_relative_to(tmp_path) for datum in [*data.train_x, *data.test])
    assert told
