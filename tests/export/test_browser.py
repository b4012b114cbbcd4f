"""The page of examples/browser in a real Chromium, with ONNX Runtime Web's files beside it."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mpafer
from mpafer.inference.onnx_file import OnnxFile
from mpafer.inference.predictor import SHIPPED
from mpafer.inputs.reading import read_image
from mpafer.sketch.generate import draw_image

PAGE = Path(__file__).parent.parent.parent / "examples/browser"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
    pytest.mark.skipif(
        not (PAGE / "ort/ort.wasm.min.js").is_file(),
        reason="examples/browser/ort is empty: its README says what fills it",
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the page with the model that ships with the package."""
    folder = tmp_path_factory.mktemp("site") / "browser"
    shutil.copytree(PAGE, folder)
    mpafer.export_onnx(SHIPPED, folder / "faces.onnx")
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page once its model is there; at the end no script of it has failed, and nothing was asked of elsewhere."""
    page = browser.new_page()
    errors: list[str] = []
    elsewhere: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: elsewhere.append(request.url) if "//127.0.0.1:" not in request.url else None)
    page.goto(address)
    status(page, "Choose a picture.")
    yield page
    page.close()
    assert not errors and not [url for url in elsewhere if not url.startswith(("blob:", "data:"))]


def status(page: Any, start: str) -> str:
    playwright.expect(page.locator("#status")).to_contain_text(start, timeout=60_000)
    return str(page.inner_text("#status"))


def picture(path: Path, width: int, height: int, **saving: Any) -> Path:
    """Coloured noise over a wave, with hard edges for the resampling."""
    rng = np.random.default_rng(0)
    wave = 128 + 100 * np.sin(np.arange(width) / 9)[None, :, None] * np.cos(np.arange(height) / 13)[:, None, None]
    pixels = np.clip(wave + rng.integers(-90, 90, (height, width, 3)), 0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(path, **saving)
    return path


def seen_and_expected(page: Any, site: Path, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Levels [3, S, S] that the page gives to the model, and those that Python does."""
    page.set_input_files("#picture", path)
    status(page, " ms)")
    read = OnnxFile(site / "faces.onnx")
    levels = page.evaluate("() => [...$('seen').getContext('2d').getImageData(0, 0, 96, 96).data]")
    mean, std = (np.array(read.about[key])[:, None, None] for key in ("mean", "std"))
    expected = np.rint((read.preprocess(read_image(path)) * std + mean) * 255).astype(int)
    return np.array(levels).reshape(96, 96, 4).transpose(2, 0, 1)[:3], expected


@pytest.mark.parametrize("size", [(96, 96), (201, 333), (97, 96), (60, 41), (30, 200), (1600, 900)])
def test_pictures_are_prepared_as_pillow_does(page: Any, site: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    seen, expected = seen_and_expected(page, site, picture(tmp_path / "face.png", *size))
    assert np.array_equal(seen, expected)


def test_turned_and_transparent_pictures(page: Any, site: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    seen, expected = seen_and_expected(page, site, picture(tmp_path / "turned.png", 201, 333, exif=exif))
    assert np.array_equal(seen, expected)
    seen, expected = seen_and_expected(page, site, picture(tmp_path / "turned.jpg", 201, 333, exif=exif, quality=90))
    assert np.abs(seen - expected).max() <= 2  # two decoders of JPEG
    with Image.open(picture(tmp_path / "face.png", 120, 100)) as image:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        image.save(tmp_path / "face.png")
    seen, expected = seen_and_expected(page, site, tmp_path / "face.png")
    assert np.abs(seen - expected).max() <= 2  # the canvas holds colours times their opacity


def test_the_answers_to_drawn_faces_are_the_predictors(page: Any, site: Path, tmp_path: Path) -> None:
    predictor, labels = mpafer.Predictor.from_onnx(site / "faces.onnx", faces="none"), set()
    for index, truth in enumerate(("happiness", "surprise", "anger")):
        path = tmp_path / f"{truth}.png"
        path.write_bytes(draw_image(1, "test", index, truth)[0])
        page.set_input_files("#picture", path)
        said, answer = status(page, " ms)"), predictor(path)
        shown = dict(row.split("\n") for row in page.locator("#bars li").all_inner_texts())
        assert said.startswith(f"{answer.label}, {100 * answer.confidence:.1f} %")
        expected = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
        assert list(shown.items()) == [(name, f"{100 * value:.1f} %") for name, value in expected]
        labels.add(answer.label)
    assert len(labels) > 1 and page.inner_text("#note") == "drawn faces only"


def test_what_cannot_be_used_is_said_and_no_answer_is_left(page: Any, tmp_path: Path) -> None:
    page.set_input_files("#picture", picture(tmp_path / "face.png", 100, 100))
    status(page, " ms)")
    (tmp_path / "text.png").write_text("no picture")
    page.set_input_files("#picture", tmp_path / "text.png")
    status(page, "this picture cannot be read: save it as PNG or JPEG")
    assert page.locator("#bars li").count() == 0
    for name, content, message in (("a", b"no model", "ONNX file"), ("b", b"", "this file is not of mpafer export")):
        (tmp_path / f"{name}.onnx").write_bytes(content)
        page.set_input_files("#model", tmp_path / f"{name}.onnx")
        status(page, message)
        assert page.locator("#picture").is_disabled()


@pytest.mark.parametrize("width", [1280, 420])
def test_nothing_is_wider_than_the_window(page: Any, tmp_path: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.set_input_files("#picture", picture(tmp_path / "face.png", 300, 300))
    status(page, " ms)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
