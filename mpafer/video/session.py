"""All that one command looks at: pictures, then videos; what cannot be read is named, and the rest goes on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpafer.common.errors import DataError, UserError
from mpafer.common.files import write_text
from mpafer.common.progress import progress
from mpafer.inference.answers import Answer, heading
from mpafer.inference.drawing import annotate
from mpafer.inference.pictures import Picture, as_picture
from mpafer.inference.predictor import Predictor
from mpafer.inference.sources import Found, find_sources
from mpafer.results.table import csv_text
from mpafer.video.reading import Pace, read_frames
from mpafer.video.timeline import Timeline
from mpafer.video.watching import watch
from mpafer.video.writing import VideoWriter


@dataclass
class Session:
    """Looks at sources and gathers what came of them.

    Args:
        predictor: answers.
        pace: which frames of videos are looked at.
        smooth: seconds, see `mpafer.video.tracks.Smoother`.
        save: folder of annotated pictures and videos and of timelines; None = none are written.
    """

    predictor: Predictor
    pace: Pace = field(default_factory=Pace)
    smooth: float = 0.0
    save: Path | None = None
    pictures: list[Answer] = field(default_factory=list)
    timelines: list[Timeline] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)  # see `heading`
    records: list[dict[str, Any]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # messages

    @property
    def heading(self) -> list[str]:
        """Names of the cells of `rows`."""
        return heading(self.predictor.classnames)

    def look_at(self, words: Sequence[str]) -> None:
        """Look at all sources, each as `find_sources` has it."""
        found: list[Found] = []
        for word in words:
            try:
                found += find_sources(word)
            except UserError as error:
                self.failed.append(str(error))
        self.root = _common_folder([each.path for each in found])
        self._look_at_pictures([each.path for each in found if each.kind == "picture"])
        for each in found:
            if each.kind != "picture":
                self._look_at_video(each)

    def readings(self) -> Counter[str]:
        """How often which part of a picture was read, and why."""
        return Counter(answer.reading for answer in self.pictures)

    def _look_at_pictures(self, paths: Sequence[str]) -> None:
        pairs = self.predictor.pairs(self._readable(paths))
        for picture, answer in progress(pairs, "pictures", total=len(paths), unit=" images"):
            self.pictures.append(answer)
            self.records.append(answer.record())
            self.rows += answer.rows()
            if self.save:
                target = self._target(picture.name, ".answer.png")
                annotate(picture.image, answer).save(target)

    def _readable(self, paths: Sequence[str]) -> Iterator[Picture]:
        for path in paths:
            try:
                yield as_picture(path)
            except DataError as error:
                self.failed.append(str(error))

    def _look_at_video(self, source: Found) -> None:
        live = source.kind == "camera"
        timeline = Timeline(source.path, self.predictor.classifier.note)
        rows: list[list[Any]] = []
        try:
            with VideoWriter(self._target(source.path, ".answer.mp4") if self.save else None) as writer:
                frames = read_frames(source.path, self.pace)
                seen_frames = watch(self.predictor, frames, smooth=self.smooth, live=live)
                for seen in progress(seen_frames, source.path, unit=" frames"):
                    timeline.add(seen)
                    number, time = seen.frame.number, round(seen.frame.time, 3)
                    place = {"frame": number, "time": time, "numbers": list(seen.numbers)}
                    self.records.append(seen.answer.record() | place)
                    rows += seen.answer.rows(number, time, seen.numbers)
                    if self.save:
                        writer.write(annotate(seen.frame.image, seen.answer, seen.numbers), seen.frame.time)
        except UserError as error:
            self.failed.append(str(error))
        except KeyboardInterrupt:
            if not live:  # a camera is watched until then
                raise
        self.rows += rows
        if rows:
            self.timelines.append(timeline)
        if rows and self.save:
            timeline.draw(self._target(source.path, ".timeline.png"))
            write_text(self._target(source.path, ".timeline.csv"), csv_text([self.heading, *rows]), newline="\r\n")

    def _target(self, path: str, ending: str) -> Path:
        """Where something of a source is written: as the sources lie to each other, so lie these."""
        assert self.save is not None
        inside = path.replace(":", "-") if path.startswith("camera:") else os.path.relpath(path, self.root)
        target = self.save / f"{inside}{ending}"
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def _common_folder(paths: Sequence[str]) -> str:
    files = [os.path.dirname(os.path.abspath(path)) for path in paths if not path.startswith("camera:")]
    return os.path.commonpath(files) if files else "."
