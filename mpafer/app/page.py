"""The page: a picture, the webcam or a video on one side, the answers on the other."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from mpafer.app.answers import Said, drawn, on_picture, on_video
from mpafer.app.runs import Runs
from mpafer.common.errors import DataError, user_message
from mpafer.inference.drawing import annotate
from mpafer.inference.pictures import Picture
from mpafer.inputs.reading import read_image
from mpafer.video.reading import Pace, read_frames, stated_length
from mpafer.video.timeline import Timeline
from mpafer.video.watching import watch
from mpafer.video.writing import VideoWriter

logger = logging.getLogger(__name__)
FPS, LONGEST = 5.0, 60.0  # of a video: frames a second that are looked at, seconds
NARROW = 5  # inches of the picture over time, which a telephone shows too
THEME = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])  # none is fetched
STYLE = Path(__file__).with_name("page.css")
WAITING = Said("Nothing to answer to yet.").html()
PROGRESS = gr.Progress()  # Gradio sees this default, and hands over that of the page
Upload = dict[str, Any] | None  # what the browser says of a file that it has uploaded


class OwnFilesOnly(gr.Blocks):
    """A page that takes files which were uploaded to it; Gradio's would also fetch one from an address.

    Args:
        folder: of uploaded files.
        **options: of `gradio.Blocks`.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(**options)
        self.folder = folder.resolve()

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **options: Any) -> Any:
        """As Gradio's, of names and uploaded files alone."""
        if not all(entry is None or isinstance(entry, str) or self._is_uploaded(entry) for entry in inputs):
            raise gr.Error("only uploaded files are read", print_exception=False)
        return await super().preprocess_data(block_fn, inputs, *args, **options)

    def _is_uploaded(self, entry: Any) -> bool:
        """Whether this names one file, which lies in the folder, and nothing beside it."""
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            return False
        nested = any(isinstance(value, (dict, list)) for name, value in entry.items() if name != "meta")
        path = Path(entry["path"]).resolve()
        return not nested and path.is_relative_to(self.folder) and path.is_file()


class Answering:
    """What the page does with what it is given.

    Args:
        runs: to choose from.
        folder: for what is made.
    """

    def __init__(self, runs: Runs, folder: Path) -> None:
        self.runs, self.folder = runs, folder

    def picture(self, run: object, upload: Upload) -> tuple[Image.Image | None, str]:
        """The picture with boxes, and what is said of its faces."""

        def answer(path: Path, name: str) -> tuple[Image.Image, str]:
            model = self.runs.get(run)
            picture = Picture(name, read_image(path))  # an error names the path, in whose place the name is shown
            found = model.predictor(picture)
            return drawn(picture.image, found), on_picture(found, model.texts).html()

        return self._answered(answer, upload, (None,))

    def video(
        self, run: object, upload: Upload, progress: gr.Progress = PROGRESS
    ) -> tuple[str | None, str | None, str]:
        """The video with boxes, the probabilities over time, and what is said of each face."""

        def answer(path: Path, name: str) -> tuple[str, str, str]:
            model = self.runs.get(run)
            _check_length(stated_length(str(path)), name)
            timeline = Timeline(name, model.predictor.classifier.note)
            place = Path(tempfile.mkdtemp(dir=self.folder))
            readings: Counter[str] = Counter()
            with VideoWriter(place / "answer.mp4") as writer:
                for seen in watch(model.predictor, read_frames(str(path), Pace(fps=FPS))):
                    _check_length(seen.frame.time, name)
                    progress((readings.total(), None), desc=f"{seen.frame.time:.0f} s", unit="frames")
                    timeline.add(seen)
                    writer.write(annotate(seen.frame.image, seen.answer, seen.numbers, brief=True), seen.frame.time)
                    readings[seen.answer.reading] += 1
            timeline.draw(place / "timeline.png", NARROW)
            said = on_video(timeline, readings, model.texts).html()
            return str(place / "answer.mp4"), str(place / "timeline.png"), said

        return self._answered(answer, upload, (None, None))

    def _answered(self, answer: Callable[[Path, str], Any], upload: Upload, nothing: tuple[None, ...]) -> Any:
        """An answer to an uploaded file, or one line on what went wrong; ``nothing`` in place of pictures."""
        if not upload:
            return *nothing, WAITING
        path = Path(upload["path"])
        name = str(upload.get("orig_name") or path.name)
        try:
            return answer(path, name)
        except Exception as error:
            message = user_message(error)
            if message is None:
                logger.exception("no answer to %s", name)
                message = "Something went wrong; the terminal in which `mpafer app` runs says what."
            return *nothing, Said(trouble=message.replace(str(path), name)).html()


def build(runs: Runs, folder: Path) -> gr.Blocks:
    """The page; ``folder`` is that of uploaded files."""
    do = Answering(runs, folder)
    with OwnFilesOnly(folder, title="MPA-FER", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown("# Expressions of faces")
        run = gr.Dropdown(list(runs.names), value=runs.first, label="Model", elem_id="run", filterable=False)
        with gr.Tab("Picture"), gr.Row():
            with gr.Column():
                picture = gr.Image(
                    label="Picture", sources=["upload", "webcam"], elem_id="picture", height=360,
                    webcam_options=gr.WebcamOptions(mirror=False), buttons=[],
                )  # fmt: skip
                shown = gr.Image(show_label=False, interactive=False, elem_id="shown", buttons=["fullscreen"])
            with gr.Column():
                said = gr.HTML(WAITING, elem_id="said", padding=False)
        with gr.Tab("Video"), gr.Row():
            with gr.Column():
                video = gr.Video(
                    label=f"Video, no longer than {LONGEST:g} s", sources=["upload", "webcam"], elem_id="video",
                    height=360, include_audio=False, webcam_options=gr.WebcamOptions(mirror=False),
                )  # fmt: skip
                watched = gr.Video(show_label=False, interactive=False, elem_id="watched", buttons=[])
            with gr.Column():
                told = gr.HTML(WAITING, elem_id="told", padding=False)
                timeline = gr.Image(show_label=False, interactive=False, elem_id="timeline", buttons=["fullscreen"])
        # a broken file is our message, not Gradio's; one answer at a time, since both share a detector
        unread = {"preprocess": False, "api_visibility": "private", "concurrency_limit": 1, "concurrency_id": "answer"}
        gr.on([picture.input, run.input], do.picture, [run, picture], [shown, said], **unread)
        gr.on([video.input, run.input], do.video, [run, video], [watched, timeline, told], **unread)
    return page


def _check_length(seconds: float, name: str) -> None:
    if seconds > LONGEST:
        raise DataError(f"{name} is longer than {LONGEST:g} s: cut it, or use the command `mpafer predict`")
