"""The doctor on healthy data sets and on ones damaged in every way it knows: message, cure and exit status."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from support.miniatures import RAFDB_LAYOUTS, make_rafdb, make_sketchfer, noise, write
from support.miniatures_fer import (
    make_affectnet_csv,
    make_affectnet_npy,
    make_ck48,
    make_ckplus,
    make_compound,
    make_fer2013,
    make_ferplus,
    make_ferplus_parts,
)
from support.miniatures_lists import PICTURES, make_facial_expressions, make_pictures, make_shard, make_yolo

from mpafer.datasets import items as files
from mpafer.datasets.__main__ import main
from mpafer.datasets.rafdb import RAFDB
from mpafer.doctor import duplicates, images, subject
from mpafer.doctor.checks import diagnose
from mpafer.doctor.findings import KINDS, Finding

LIST = "EmoLabel/list_patition_label.txt"


@pytest.fixture(autouse=True)
def counts_of_the_miniature(monkeypatch):
    """So that a healthy miniature has nothing to be warned of."""
    monkeypatch.setattr(RAFDB, "published", {"train": (2,) * 7, "test": (1,) * 7})


@pytest.fixture
def check(tmp_path, capsys):
    """Runs the command on the data under tmp_path; returns exit status, text and JSON."""

    def run(*arguments: str, name: str = "rafdb") -> tuple[int, str, dict]:
        target = tmp_path / "doctor.json"
        with pytest.raises(SystemExit) as end:
            main(["check", name, "--root", str(tmp_path), "--json", str(target), *arguments])
        return int(end.value.code or 0), capsys.readouterr().out, json.loads(target.read_text())

    return run


def kinds(report: dict) -> list[str]:
    return [finding["kind"] for finding in report["findings"]]


def cases(report: dict, kind: str) -> list[dict]:
    return next(finding["cases"] for finding in report["findings"] if finding["kind"] == kind)


def aligned(base: Path, stem: str) -> Path:
    return base / f"Image/aligned/{stem}_aligned.jpg"


# --- healthy --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", RAFDB_LAYOUTS)
def test_healthy_is_ok(check, tmp_path, layout):
    make_rafdb(tmp_path, layout)
    status, printed, report = check()
    assert status == 0 and printed.splitlines()[-1] == "OK" and "To do" not in printed
    assert report["status"] == "ok" and not report["findings"]
    assert sum(report["sizes"].values()) == 21


def test_drawn_faces_are_ok(check, tmp_path):
    """Many faces of a few people, drawn alike: they must not be taken for copies."""
    make_sketchfer(tmp_path)
    status, printed, report = check(name="sketchfer8")
    assert status == 0 and printed.splitlines()[-1] == "OK" and not report["findings"]
    status, printed, report = check(name="sketchfer")
    assert status == 0 and printed.splitlines()[-1] == "OK"
    assert kinds(report) == ["left_out"], "the images of contempt: a note"


# --- damaged --------------------------------------------------------------------------------------


def edit_list(base: Path, edit: Callable[[list[str]], list[str]]) -> None:
    source = base / LIST
    source.write_text("\n".join(edit(source.read_text().splitlines())))


def relabel(base: Path, stem: str, label: int) -> None:
    edit_list(base, lambda rows: [f"{stem}.jpg {label}" if row.startswith(stem) else row for row in rows])


def label_of(base: Path, stem: str) -> str:
    return next(row[-1] for row in (base / LIST).read_text().splitlines() if row.startswith(stem))


def same_label(base: Path, alike: bool) -> tuple[str, str]:
    """Two training images whose labels are alike, or not."""
    stems = [f"train_{number:05d}" for number in range(1, 15)]
    return next((a, b) for a, b in combinations(stems, 2) if (label_of(base, a) == label_of(base, b)) == alike)


def copy(base: Path, source: str, target: str) -> None:
    shutil.copy(aligned(base, source), aligned(base, target))


def leak(base: Path) -> None:
    twin = next(
        f"train_{n:05d}" for n in range(1, 15) if label_of(base, f"train_{n:05d}") == label_of(base, "test_0003")
    )
    copy(base, twin, "test_0003")


def truncate(base: Path) -> None:
    path = aligned(base, "train_00003")
    path.write_bytes(path.read_bytes()[:2000])


def resaved(base: Path) -> None:
    """A copy that is brighter, resized and compressed anew; the picture is smooth, as photographs are."""
    coarse = Image.fromarray(np.random.default_rng(1).integers(0, 200, (7, 7, 3), dtype=np.uint8))
    picture = coarse.resize((100, 100), Image.Resampling.BICUBIC)
    picture.save(aligned(base, "train_00001"), quality=95)
    edited = ImageEnhance.Brightness(picture).enhance(1.1).resize((120, 120)).resize((100, 100))
    edited.save(aligned(base, "test_0001"), quality=60)


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing": (lambda b: aligned(b, "test_0002").unlink(), "missing", "test_0002_aligned.jpg"),
    "truncated": (truncate, "unreadable", "train_00003_aligned.jpg: .*[Tt]runcated"),
    "empty": (lambda b: aligned(b, "train_00003").write_bytes(b""), "unreadable", "train_00003.*: an empty file"),
    "no image": (lambda b: aligned(b, "train_00003").write_text("<html>"), "unreadable", "train_00003.*: not an image"),
    "a folder": (
        lambda b: (aligned(b, "train_00003").unlink(), aligned(b, "train_00003").mkdir()),
        "unreadable",
        "train_00003.*: Is a directory",
    ),
    "label 0": (lambda b: relabel(b, "train_00003", 0), "lists", "line 3: .*from 1 to 7"),
    "label 8": (lambda b: relabel(b, "train_00003", 8), "lists", "line 3: .*from 1 to 7"),
    "listed twice": (lambda b: edit_list(b, lambda rows: [*rows, rows[0]]), "lists", "train_00001 is listed a second"),
    "no class": (
        lambda b: edit_list(b, lambda rows: [r for r in rows if not (r.startswith("train") and r.endswith("2"))]),
        "empty",
        "fear in train",
    ),
    "leak": (leak, "leak", "train_.*= .*test_0003_aligned.jpg: train (.*), test .*; same bytes"),
    "conflict": (lambda b: copy(b, *same_label(b, False)), "conflict", "train_.* = .*train_.*same bytes"),
    "repeated": (lambda b: copy(b, *same_label(b, True)), "repeated", "train_.* = .*train_.*same bytes"),
    "resaved": (resaved, "similar", r"train_00001.* = .*test_0001.*correlation (0\.9|1\.0)"),
    "size": (lambda b: noise(aligned(b, "train_00003"), (90, 100), 99), "sizes", "train_00003.*: 90 x 100"),
    "small": (lambda b: noise(aligned(b, "train_00003"), (24, 24), 99), "small", "train_00003.*: 24 x 24"),
    "aspect": (lambda b: noise(aligned(b, "train_00003"), (300, 100), 99), "aspect", "train_00003.*: 300 x 100"),
    "flat": (lambda b: Image.new("RGB", (100, 100)).save(aligned(b, "train_00003")), "flat", "train_00003"),
    "fewer": (lambda b: edit_list(b, lambda rows: rows[1:]), "counts", "train .*: 1, published 2"),
    "untested": (
        lambda b: edit_list(b, lambda rows: [r for r in rows if not (r.startswith("test") and r.endswith("2"))]),
        "untested",
        "fear in test",
    ),
    "no test": (
        lambda b: edit_list(b, lambda rows: [r for r in rows if not r.startswith("test")]),
        "loader",
        "no test image",
    ),
    "all missing": (lambda b: shutil.rmtree(b / "Image"), "loader", "none of its images"),
    "no list": (lambda b: (b / LIST).unlink(), "loader", "RAFDB was not found"),
    "empty list": (lambda b: (b / LIST).write_text("\n"), "loader", "is empty"),
}
CONSEQUENCES = {"counts", "unlisted"}  # of an image that is not named any more


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_told(check, tmp_path, damage):
    act, kind, message = DAMAGES[damage]
    act(make_rafdb(tmp_path))
    status, printed, report = check()
    assert set(kinds(report)) - CONSEQUENCES - {kind} == set(), printed
    assert kind in kinds(report), printed
    severity = KINDS[kind].severity
    assert status == (severity == "error")
    assert report["status"] == f"{severity}s" and "To do:" in printed and printed.splitlines()[-1] != "OK"
    part = printed[printed.index(f"{severity} [{kind}]") :]
    assert KINDS[kind].title in part and KINDS[kind].cure in part
    assert re.search(message, part), part


def test_unlisted_images_are_a_note(check, tmp_path):
    base = make_rafdb(tmp_path)
    noise(base / "Image/aligned/stranger.png", (100, 100), 99)
    noise(base / "Image/original/elsewhere.jpg", (100, 100), 98)  # where no image in use lies: another form of the set
    status, printed, report = check()
    assert status == 0 and printed.splitlines()[-1] == "OK" and "note: images that lie beside" in printed
    assert cases(report, "unlisted") == [{"files": [f"{base}/Image/aligned/stranger.png"], "detail": ""}]


def test_missing_class_folder_does_not_hide_the_rest(check, tmp_path):
    base = make_rafdb(tmp_path, "class folders")
    shutil.rmtree(base / "train/3")
    next((base / "test/4").iterdir()).write_bytes(b"")
    status, printed, report = check()
    assert status == 1 and {"layout", "empty", "unreadable", "counts"} == set(kinds(report))
    assert "train/3 for the images of disgust" in printed and "disgust in train" in printed


def test_originals_with_missing_and_bad_parts(check, tmp_path):
    base = make_rafdb(tmp_path, "originals")
    (base / "Image/original/train_00002.jpg").unlink()
    for stem in ("train_00003", "test_0001"):
        (base / f"Annotation/boundingbox/{stem}_boundingbox.txt").write_text("1 2 3")
    status, _, report = check()
    assert status == 1 and kinds(report)[:2] == ["lists", "missing"]
    assert all(finding["severity"] != "error" for finding in report["findings"][2:])
    assert [case["files"] for case in cases(report, "missing")] == [[f"{base}/Image/original/train_00002.jpg"]]
    assert [Path(case["detail"].split(":")[0]).name for case in cases(report, "lists")] == [
        "train_00003_boundingbox.txt",
        "test_0001_boundingbox.txt",
    ]
    box = base / "Annotation/boundingbox/train_00005_boundingbox.txt"
    box.unlink()
    assert [case["files"] for case in cases(check()[2], "missing")] == [
        [str(box)],
        [f"{base}/Image/original/train_00002.jpg"],
    ]


def test_everything_at_once(check, tmp_path):
    """Nothing hides anything else; the text shows a handful, JSON all of it."""
    base = make_rafdb(tmp_path)
    gone = [aligned(base, f"train_{number:05d}") for number in range(1, 8)]
    for path in gone:
        path.unlink()
    aligned(base, "train_00008").write_bytes(b"")
    relabel(base, "train_00009", 8)
    relabel(base, "train_00010", 9)
    copy(base, "train_00011", "test_0001")
    status, printed, report = check()
    assert status == 1 and {"lists", "missing", "unreadable", "leak"} <= set(kinds(report))
    assert [case["files"] for case in cases(report, "missing")] == [[str(path)] for path in gone]
    assert len(cases(report, "lists")) == 2
    part = printed[printed.index("[missing]") : printed.index("[unreadable]")]
    assert "missing files: 7" in part and "and 2 more" in part and part.count("_aligned.jpg") == 5
    numbers = [line.split(".")[0] for line in printed.splitlines() if line[:1].isdigit()]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


# --- what the report holds ------------------------------------------------------------------------


def test_counts_and_imbalance(check, tmp_path, monkeypatch):
    monkeypatch.setattr(RAFDB, "published", {"train": (1290, 281, 717, 4772, 1982, 705, 2524), "test": (1,) * 7})
    base = make_rafdb(tmp_path)
    edit_list(base, lambda rows: [*rows, *(f"train_{number:05d}.jpg 4" for number in range(15, 19))])
    for number in range(15, 19):
        noise(aligned(base, f"train_{number:05d}"), (100, 100), number + 100)
    status, printed, report = check()
    assert status == 0 and kinds(report) == ["counts"]
    assert report["counts"]["train"]["happiness"] == {"found": 6, "published": 4772}
    assert report["imbalance"]["train"] == {
        "largest": "happiness",
        "smallest": "surprise",
        "images": [6, 2],
        "ratio": 3.0,
    }
    assert "happiness has 3.0 times the images of surprise (6 and 2)" in printed
    assert re.search(r"happiness +6 +4,772 +1 +1\n", printed) and re.search(r"all +18 +12,271 +7 +7\n", printed), (
        printed
    )


def test_json_alone_on_stdout(tmp_path, capsys):
    make_rafdb(tmp_path)
    with pytest.raises(SystemExit, match="0"):  # few-shot: Dassl's code prints, which must not get in between
        main(["check", "RAFDB", "--root", str(tmp_path), "DATASET.NUM_SHOTS", "1", "--json", "-"])
    assert json.loads(capsys.readouterr().out)["dataset"] == "RAFDB"


def test_accepted_errors_are_warnings(check, tmp_path):
    leak(make_rafdb(tmp_path))
    assert check()[0] == 1
    assert check("--accept", "missing")[0] == 1, "the control: another kind"
    status, printed, report = check("--accept", "leak")
    assert status == 0 and "warning [leak]" in printed and report["status"] == "warnings"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rafd"], "did you mean rafdb"),
        (["rafdb", "DATASET.SHOTS", "1"], "DATASET.NUM_SHOTS"),
        (["rafdb", "DATASET.NUM_SHOTS"], "KEY VALUE pairs"),
        (["nowhere/set.yaml"], "no config file nowhere/set.yaml"),
        (["rafdb", "DATASET.FOLD", "1"], "DATASET.FOLD is an option of CKPlus, and this run's data set is RAFDB"),
        (["FERPlusses"], r"no data set 'FERPlusses': did you mean FERPlus\?"),
    ],
)
def test_mistakes_on_the_command_line(tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=message):
        main(["check", *arguments, "--root", str(tmp_path)])


def test_options_reach_the_loader(check, tmp_path):
    make_rafdb(tmp_path)
    status, printed, _ = check("TEST.FINAL_MODEL", "best_val", "DATASET.VAL_FRACTION", "0.01")
    assert status == 1 and "cannot cut DATASET.VAL_FRACTION" in printed


def test_command_from_a_shell(tmp_path):
    make_rafdb(tmp_path)
    command = [sys.executable, "-m", "mpafer.datasets", "check", "rafdb", "--root", str(tmp_path), "--jobs", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "[counts]" in done.stdout, done.stdout + done.stderr
    assert "Warning" not in done.stderr


# --- duplicates -----------------------------------------------------------------------------------


def test_near_duplicates_can_be_left_out(check, tmp_path):
    resaved(make_rafdb(tmp_path))
    assert kinds(check()[2]) == ["similar"]
    assert kinds(check("--no-near-duplicates")[2]) == []


def test_equal_pixels_in_other_files(check, tmp_path):
    """The same picture in another format: other bytes."""
    base = make_rafdb(tmp_path)
    picture = np.random.default_rng(5).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    for stem, level in (("train_00001", 1), ("test_0001", 9)):
        with open(aligned(base, stem), "wb") as file:
            Image.fromarray(picture).save(file, "PNG", compress_level=level)
    (case,) = cases(check("--accept", "conflict")[2], "leak")
    assert case["detail"].endswith("same pixels")


def test_one_file_in_two_splits(tmp_path):
    """A list of paths may name a file twice: the same finding as for its copy."""
    path = tmp_path / "face.png"
    noise(path, (100, 100), 0)
    item = files.Item(str(path), 0)
    patient = subject.Subject("Some", str(tmp_path), ["fear"], {}, {"train": [item], "test": [item]})
    (finding,) = findings_of(patient)
    assert finding.kind == "leak" and finding.cases[0].detail == "train fear, test fear; one file"


def findings_of(patient: subject.Subject) -> list[Finding]:
    paths = [item.impath for items in patient.splits.values() for item in items]
    return diagnose(patient, images.read_images(paths))


def test_banded_search_finds_what_comparing_all_finds():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (60, 4, 4)).astype(np.float32)
    smooth = np.stack([np.asarray(Image.fromarray(grid).resize((18, 16), Image.Resampling.BICUBIC)) for grid in coarse])
    edited = [smooth[rng.integers(60, size=300)] + rng.normal(0, level, (300, 16, 18)) for level in (2, 6, 12)]
    thumbnails = np.concatenate([smooth, *edited]).clip(0, 255).astype(np.uint8)
    bits = duplicates.difference_hash(thumbnails)
    flat = np.corrcoef(thumbnails.reshape(len(thumbnails), -1))
    expected = {
        (i, j)
        for i, j in combinations(range(len(thumbnails)), 2)
        if (bits[i] != bits[j]).sum() <= duplicates.DISTANCE and flat[i, j] >= duplicates.SIMILARITY
    }
    assert len(expected) > 100 and set(duplicates.similar_pairs(thumbnails)) == expected


def test_flat_images_are_no_copies_of_each_other(check, tmp_path):
    base = make_rafdb(tmp_path)
    for stem in ("train_00001", "train_00002", "test_0001"):
        Image.new("RGB", (100, 100)).save(aligned(base, stem))
    status, _, report = check()
    assert status == 0 and kinds(report) == ["flat"] and len(cases(report, "flat")) == 3


# --- other data sets, and the loaders -------------------------------------------------------------


def test_labels_that_no_class_has(check, tmp_path, monkeypatch):
    make_rafdb(tmp_path)
    read = RAFDB.read

    def shifted(self, folder):
        splits = read(self, folder)
        return splits and {
            split: [item._replace(label=item.label + 1) for item in its] for split, its in splits.items()
        }

    monkeypatch.setattr(RAFDB, "read", shifted)
    status, printed, report = check()
    assert status == 1 and {"labels", "empty"} <= set(kinds(report)) and "7 in train" in printed


def test_faults_of_our_own_keep_their_traceback(cfg, tmp_path, monkeypatch):
    make_rafdb(tmp_path)
    cfg.DATASET.NAME = "RAFDB"

    def broken(self, folder):
        raise TypeError("a bug")

    monkeypatch.setattr(RAFDB, "read", broken)
    with pytest.raises(TypeError, match="a bug"):
        subject.load(cfg)


def test_what_a_loader_logs_is_reported(check, tmp_path, monkeypatch):
    make_rafdb(tmp_path)
    read = RAFDB.read
    monkeypatch.setattr(RAFDB, "read", lambda *args: files.log.warning("3 rows left out") or read(*args))
    status, printed, report = check()
    assert status == 0 and "3 rows" in printed
    assert cases(report, "warnings") == [{"files": [], "detail": "3 rows left out"}]


def test_problems_are_raised_unless_they_are_collected():
    problems = files.Problems(collecting=True)
    problems.report(ValueError("noted"))
    assert [str(error) for error in problems.found] == ["noted"]
    with pytest.raises(ValueError, match="raised"):
        files.Problems().report(ValueError("raised"))


def test_two_processes_find_what_one_finds(tmp_path):
    paths = [str(tmp_path / f"{number}.png") for number in range(2 * images.CHUNK + 3)]
    for number, path in enumerate(paths):
        noise(Path(path), (20, 20), number)
    write(tmp_path / "5.png", "no image")
    one, two = (images.read_images([*paths, paths[0]], jobs) for jobs in (1, 2))
    assert list(one) == paths and one == two and one[paths[5]].error == "not an image"


@pytest.mark.parametrize(
    ("name", "make", "images"),
    [
        ("affectnet8", make_affectnet_csv, None), ("affectnet7", make_affectnet_npy, 21), ("fer2013", make_fer2013, 21),
        ("ferplus", make_ferplus, None), ("ferplus7", make_ferplus_parts, None), ("ckplus", make_ckplus, None),
        ("ckplus8", make_ck48, None), ("rafdb_compound", make_compound, 33),
    ],
)  # fmt: skip
def test_every_data_set_is_looked_over(
    check: Callable, tmp_path: Path, name: str, make: Callable, images: int | None
) -> None:
    make(tmp_path)
    _, text, report = check("--jobs", "1", name=name)
    found = sum(row["found"] for split in report["counts"].values() for row in split.values())
    assert found == images if images else found > 0
    assert "counts" in kinds(report) and "To do:" in text  # a miniature has not the published number of images
    if name == "rafdb_compound":  # of which only the totals are published
        assert "3,162" in text and "train: 22 images, published 3162" in text


def make_list(root: Path) -> None:
    folder = make_pictures(root / "ferfolder")
    noise(folder / "ann/unlisted.jpg", (16, 16), 99)
    rows = [f"{file},{label},{split}" for file, label, split in PICTURES]
    write(folder / "labels.csv", "\n".join([*rows, "ann/nowhere.jpg,happy,train", "ann/shot 0.jpg,3.7,train"]))


@pytest.mark.parametrize(
    ("name", "make", "options", "found"),
    [
        ("ferfolder", make_list, ("DATASET.LIST", "labels.csv"), {"missing", "lists", "unlisted", "small"}),
        ("affectnet8", lambda root: make_yolo(root / "AffectNet", ["anger"] * 8), (), {"empty"}),
        ("fer2013", lambda root: make_shard(root / "fer2013/train.parquet", range(7)), (), {"loader"}),
        ("facial_expressions", make_facial_expressions, (), {"unlisted", "counts"}),
    ],
)  # fmt: skip
def test_copies_are_looked_over(check, tmp_path, name, make, options, found):
    if name == "fer2013":
        pytest.importorskip("pyarrow")
    make(tmp_path)
    _, text, report = check("--jobs", "1", *options, name=name)
    assert set(kinds(report)) >= found, text
