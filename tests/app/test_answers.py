"""What the page is told to show: cues, cards, messages, and the list of runs; without a browser and without Gradio."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.faces import Placed, draw_scene
from support.results import write_run

import mpafer
from mpafer.app.answers import Said, cues, drawn, on_picture, on_video
from mpafer.app.runs import SHIPPED, Runs
from mpafer.common.errors import CheckpointError, MissingFileError, OptionError
from mpafer.inference.answers import Answer, FaceAnswer
from mpafer.inference.pictures import Picture
from mpafer.prompting.descriptions import load_descriptions
from mpafer.video.reading import Frame
from mpafer.video.timeline import Timeline
from mpafer.video.watching import Seen

SHARES = {"anger": 0.2, "happiness": 0.7, "fear": 0.1}
LANDMARKS = ((1.0, 1.0),) * 5
FACE = FaceAnswer("happiness", 0.7, SHARES, (0.0, 0.0, 9.0, 9.0), LANDMARKS, 0.9, ("small", "cut"))
TEXTS = {"happiness": "Tears, and a wide mouth; one eye, one brow. And it opens. "}


def test_a_description_is_split_into_its_cues() -> None:
    assert cues(TEXTS["happiness"]) == ["Tears", "a wide mouth", "one eye", "one brow", "And it opens"]
    assert cues("") == [] == cues(" , ;. ")
    assert cues("Eyes open by 0.5 cm, and sand") == ["Eyes open by 0.5 cm", "sand"]
    assert all(4 <= len(cues(text)) <= 5 for text in load_descriptions().values() if "One side" not in text)
    assert cues(load_descriptions()["fear"]) == [
        "Raised eyebrows",
        "parted lips",
        "a furrowed brow",
        "a retracted chin",
    ]


def test_cards_are_of_faces_or_of_the_whole_picture() -> None:
    said = on_picture(Answer("", "happiness", 0.7, SHARES, "one face is read", (FACE,), "drawn faces only"), TEXTS)
    (card,) = said.cards
    assert (card.title, card.label, card.doubt) == (
        "Face 1", "happiness", "Doubtful: the face is small and the border cuts the face.",
    )  # fmt: skip
    assert card.bars == [("happiness", 70.0), ("anger", 20.0), ("fear", 10.0)] and card.cues[0] == "Tears"
    assert said.reading == "One face is read" and said.note.startswith("For drawn faces only: ")
    (whole,) = on_picture(Answer("", "anger", 0.7, SHARES, "the whole image is read: why"), TEXTS).cards
    assert (whole.title, whole.doubt, whole.cues) == ("Whole picture", "", [])
    assert not on_picture(Answer("", "", 0.0, {}, "nothing is read: no face was found"), TEXTS).cards


def test_a_video_has_the_mean_of_each_face() -> None:
    timeline = Timeline("clip")
    picture = Picture("", draw_scene(20, 20, []))
    for number, share in enumerate((0.9, 0.3)):
        face = FaceAnswer("", 0.0, {"anger": 1 - share, "fear": share}, (0, 0, 9, 9), LANDMARKS, 0.9)
        answer = Answer("", "", 0.0, face.probabilities, "", (face,))
        timeline.add(Seen(Frame("", picture.image, number, number / 2), answer, (3,)))
    said = on_video(timeline, Counter({"one face is read": 2, "the rest": 1}), {})
    (card,) = said.cards
    assert (card.title, card.when) == ("Face 3", "From 0.0 to 0.5 s, mean of 2 frames")
    assert card.label == "fear" and card.probabilities["fear"] == pytest.approx(0.6)
    assert said.reading == "3 frames were looked at; in 2 of them one face is read; in 1 of them the rest"


def test_every_text_is_escaped() -> None:
    evil = "<img src=x onerror=alert(1)>"
    shares = {evil: 1.0}
    said = on_picture(Answer("", evil, 1.0, shares, evil, (), evil), {evil: evil})
    for html in (said.html(), Said(trouble=evil).html()):
        assert "<img" not in html and "&lt;img src=x onerror=alert(1)&gt;" in html


def test_the_picture_shown_has_boxes_and_is_no_larger_than_the_page() -> None:
    image = draw_scene(3000, 1000, [Placed("happiness", 38, 500, 100, 100)])
    answer = Answer("", "happiness", 0.7, SHARES, "", (FACE,))
    assert drawn(image, answer).size == (1280, 427) and image.size == (3000, 1000)
    assert drawn(image.crop((0, 0, 600, 600)), answer).size == (600, 600)
    assert drawn(image, answer).tobytes() != drawn(image, Answer("", "", 0.0, {}, "")).tobytes()


# --- which runs there are


def results(folder: Path, **entries: Any) -> Path:
    write_run(
        folder, scores=[[1.0, 0.0]], labels=[0], classnames=["happiness", "anger"], images=["a.jpg"], trainer="CoOp",
        dataset="RAFDB", seed=1, config={}, **entries,
    )  # fmt: skip
    return folder


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    clip = mpafer.load_clip("tiny")
    mpafer.save(mpafer.build_model("CoOp", clip, ["happiness", "smiling mouth"], n_ctx=2), tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_runs_are_those_that_can_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Runs(device="cpu").names == [SHIPPED], "output need not be there"
    for name in ("a/seed1", "a/seed1/replaced/1", "b/seed1"):
        results(tmp_path / "output" / name, learnable_values=5)
    (tmp_path / "output/a/seed1/prompts").mkdir()
    results(tmp_path / "output/zero/seed1", learnable_values=0)
    results(tmp_path / "output/cross/seed1", learnable_values=0, cross={"source": {"dataset": "RAFDB"}})
    (tmp_path / "output/torn").mkdir()
    (tmp_path / "output/torn/results.json").write_text("{")
    assert Runs(device="cpu").names == [SHIPPED, "a/seed1", "zero/seed1"]
    runs = Runs("output", str(saved), device="cpu")
    assert runs.first == str(saved) and runs.names[0] == SHIPPED and runs.names[-1] == str(saved)


def test_runs_that_are_not_there(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no results\.json under .*typo"):
        Runs(str(tmp_path / "typo"))
    with pytest.raises(MissingFileError, match=r"no checkpoint at .*typo"):
        Runs(run=str(tmp_path / "typo"))
    (tmp_path / "text.safetensors").write_text("text")
    with pytest.raises(CheckpointError, match="cannot be read as a saved model"):
        Runs(run=str(tmp_path / "text.safetensors"))
    runs = Runs(device="cpu")
    for name in ("../typo", str(saved), "/etc/passwd", None, ["a"], {"path": "a"}):
        with pytest.raises(OptionError, match="not in the list"):
            runs.get(name)


def test_the_descriptions_are_those_of_the_model(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs(run=str(saved), device="cpu")
    assert runs.get(SHIPPED).texts == {name: load_descriptions()[name] for name in runs.get(SHIPPED).texts}
    assert len(runs.get(SHIPPED).texts) == 7
    assert list(runs.get(str(saved)).texts) == ["happiness"] and "'smiling mouth'" in caplog.text
    assert runs.get(SHIPPED) is runs.get(SHIPPED), "a model is loaded once"
