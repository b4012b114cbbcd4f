"""`mpafer predict`: from a cold start to the first answer, and a video's frames a second with what takes the time."""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from common import FACES, Row, Settings, openai_model
from PIL import Image

from mpafer.clip import Clip
from mpafer.inference.predictor import Predictor
from mpafer.sketch.generate import draw_image
from mpafer.video.reading import read_frames
from mpafer.video.watching import watch
from mpafer.video.writing import VideoWriter

FRAMES, SIZE = 48, (1280, 720)
DRAWN = {"happiness": 38, "anger": 5}  # faces that the detector takes
T = TypeVar("T")


def cold(settings: Settings) -> list[Row]:
    """Median seconds of the whole command on one picture, with what ships; its processor time beside it."""
    seconds, busy = [], []
    with tempfile.TemporaryDirectory() as folder:
        draw_face("happiness").save(face := Path(folder) / "face.png")
        for _ in range(settings.repeats):
            before, start = os.times(), time.perf_counter()
            subprocess.run([sys.executable, "-m", "mpafer", "predict", str(face)], check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
            after = os.times()
            busy.append(sum(after[2:4]) - sum(before[2:4]))
    note = f"processor time {statistics.median(busy):.1f} s; a drawn face, the detector included"
    return [Row("mpafer predict face.png, cold", "s", statistics.median(seconds), most=4.0, note=note)]


def video(settings: Settings) -> list[Row]:
    """Frames a second of a video with two faces: decoding, detection, alignment and transform, CLIP in bf16."""
    backbone = Clip.from_state_dict(openai_model(settings.size).state_dict()).to(settings.device)
    spent: Counter[str] = Counter()
    predictor = Predictor.zero_shot(backbone, FACES, prec="bf16", faces="all")
    classifier: Any = predictor.classifier
    classifier.probabilities = timed(classifier.probabilities, spent, "CLIP")
    predictor.looker.look = timed(predictor.looker.look, spent, "detection and alignment")  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        path = write_video(Path(folder) / "faces.mp4")
        predictor(draw_face("anger"))  # the detector is loaded, and CLIP is warm
        spent.clear()
        start = time.perf_counter()
        faces = sum(
            len(seen.numbers) for seen in watch(predictor, timed_steps(read_frames(str(path)), spent, "decoding"))
        )
        total = time.perf_counter() - start
    shares = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in spent.most_common())
    note = f"{FRAMES} frames of {SIZE[0]} x {SIZE[1]} with {faces / FRAMES:.1f} faces each: {shares}"
    return [Row(f"video, {settings.size} bf16", "frames/s", FRAMES / total, note=note)]


def draw_face(name: str) -> Image.Image:
    """A drawn face, 100 x 100."""
    return Image.open(io.BytesIO(draw_image(3, "test", DRAWN[name], name)[0])).convert("RGB")


def write_video(path: Path) -> Path:
    """Two faces that move."""
    with VideoWriter(path) as writer:
        for number in range(FRAMES):
            frame = Image.new("RGB", SIZE, (118, 138, 158))
            frame.paste(draw_face("happiness").resize((300, 300)), (80 + 4 * number, 150))
            frame.paste(draw_face("anger").resize((260, 260)), (850 - 3 * number, 240))
            writer.write(frame, number / 25)
    return path


def timed(call: Callable[..., T], spent: Counter[str], name: str) -> Callable[..., T]:
    """The function; the seconds it takes are added to ``spent``."""

    def measured(*words: Any) -> T:
        start = time.perf_counter()
        result = call(*words)
        spent[name] += time.perf_counter() - start  # type: ignore[assignment]
        return result

    return measured


def timed_steps(items: Iterable[T], spent: Counter[str], name: str) -> Iterator[T]:
    """The same items; the seconds that each takes to come are added to ``spent``."""
    following = timed(iter(items).__next__, spent, name)
    while True:
        try:
            item = following()
        except StopIteration:
            return
        yield item
