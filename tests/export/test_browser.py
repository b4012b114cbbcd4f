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
from support.models import CLASSES

import mpafer
from mpafer.inference.onnx_file import OnnxFile

PAGE = Path(__file__).parent.parent.parent / "examples/browser"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
    pytest.mark.skipif(
        not (PAGE / "ort/ort.wasm.min.js").is_file(), reason="examples/browser/ort is empty: its README says what fills it"
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the page with a model of the tiny CLIP."""
    folder = tmp_path_factory.mktemp("site") / "browser"
    shutil.copytree(PAGE, folder)
    model = mpafer.build_model("ZeroshotCLIP", mpafer.load_clip("tiny"), CLASSES).eval()
    mpafer.export_onnx(model, folder / "faces.onnx")
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


def picture(path: Path, width: int, height: int, seed: int = 0, **saving: Any) -> Path:
    """Coloured noise over a wave, with hard edges for the resampling."""
    rng = np.random.default_rng(seed)
    wave = 128 + 100 * np.sin(np.arange(width) / 9)[None, :, None] * np.cos(np.arange(height) / 13)[:, None, None]
    pixels = np.clip(wave + rng.integers(-90, 90, (height, width, 3)), 0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(path, **saving)
    return path


@pytest.mark.parametrize("size", [(96, 96), (201, 333), (640, 480), (97, 96), (60, 41), (30, 200), (1600, 900)])
def test_pictures_are_prepared_as_pillow_does(page: Any, site: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    path = picture(tmp_path / "face.png", *size)
    page.set_input_files("#picture", path)
    status(page, " ms)")
    read = OnnxFile(site / "faces.onnx")
    seen = page.evaluate("() => [...$('seen').getContext('2d').getImageData(0, 0, 96, 96).data]")
    mean, std = (np.array(read.about[key])[:, None, None] for key in ("mean", "std"))
    with Image.open(path) as image:
        expected = np.rint((read.preprocess(image) * std + mean) * 255).astype(int)
    levels = np.array(seen).reshape(96, 96, 4).transpose(2, 0, 1)[:3]
    print(size, np.abs(levels - expected).max(), (levels != expected).mean())
    assert np.array_equal(levels, expected)
