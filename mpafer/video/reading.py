"""Frames of a video file or a camera, upright, with their times."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from mpafer.common.errors import DataError, MissingPackageError, OptionError
from mpafer.inference.pictures import Picture
from mpafer.inference.sources import CAMERA

CAMERAS = {"linux": ("/dev/video{}", "v4l2"), "darwin": ("{}", "avfoundation"), "win32": ("video={}", "dshow")}
LACKING = 0.5  # seconds that a whole video may be shorter than it says
TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


@dataclass(frozen=True)
class Pace:
    """Which frames are looked at.

    Args:
        every: each n-th.
        fps: so many a second of the video's time, whatever its own rate, which may vary; 0 = no limit.
        seconds: the first so many seconds alone; 0 = all.

    Raises:
        OptionError: a number below these.
    """

    every: int = 1
    fps: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.every < 1 or self.fps < 0 or self.seconds < 0:
            raise OptionError(f"{self}: every is 1 or more, fps and seconds are 0 or more")


@dataclass(frozen=True)
class Frame(Picture):
    """A frame that is looked at; its name is the video's."""

    number: int  # in the video, from 0
    time: float  # seconds since the first frame


def read_frames(source: str, pace: Pace = Pace()) -> Iterator[Frame]:
    """The frames of a video, one after the other.

    Args:
        source: path of a file, or ``camera:0``.
        pace: which frames.

    Raises:
        MissingPackageError: PyAV is not installed.
        OptionError: no such camera.
        DataError: the file is no video; or, after the frames that could be read, it is damaged or cut short.
    """
    with _open(source) as container:
        if not container.streams.video:
            raise DataError(f"{source} holds no pictures: it is no video")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        reader = _Reader(source, stream, pace)
        yield from reader.frames(container)
        if not source.startswith(CAMERA):
            reader.check_end(container)


def stated_length(source: str) -> float:
    """Seconds of a video file as it says itself, 0 = it does not; errors as those of `read_frames`."""
    with _open(source) as container:
        return max((_stated_length(container, stream) for stream in container.streams.video), default=0.0)


def _stated_length(container: Any, stream: Any) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return float((container.duration or 0) / 1e6)


class _Reader:
    def __init__(self, source: str, stream: Any, pace: Pace) -> None:
        self.source, self.stream, self.pace = source, stream, pace
        self.count, self.end, self.damaged, self.ended = 0, 0.0, 0, False
        self.first: float | None = None

    def frames(self, container: Any) -> Iterator[Frame]:
        due = 0.0
        for decoded in self._decoded(container):
            number, time = self.count, self._time(decoded)
            self.count, self.end = self.count + 1, time
            if self.pace.seconds and time >= self.pace.seconds:
                self.ended = True
                return
            if number % self.pace.every or time + 1e-6 < due:
                continue
            if self.pace.fps:
                due = (int(time * self.pace.fps + 1e-6) + 1) / self.pace.fps
            image = decoded.to_image()
            turn = TURNS.get(round(decoded.rotation / 90) * 90 % 360)
            yield Frame(self.source, image if turn is None else image.transpose(turn), number, time)

    def _decoded(self, container: Any) -> Iterator[Any]:
        """Frames of every packet that can be decoded; the others are counted."""
        import av

        packets = container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, EOFError):
                return
            except av.error.FFmpegError:  # the file itself cannot be read on
                self.damaged += 1
                return
            try:
                frames = packet.decode()
            except EOFError:
                return
            except av.error.FFmpegError:
                self.damaged += 1
                continue
            self.damaged += sum(frame.is_corrupt for frame in frames)
            yield from (frame for frame in frames if not frame.is_corrupt)

    def _time(self, frame: Any) -> float:
        """Seconds since the first frame; of a frame without a time by the mean rate."""
        if frame.time is None:
            return self.count / float(self.stream.average_rate or 25)
        if self.first is None:
            self.first = frame.time
        return float(frame.time - self.first)

    def check_end(self, container: Any) -> None:
        """Raises DataError where less could be read than the file says it holds."""
        if not self.count:
            raise DataError(f"{self.source}: no frame of it can be read, the file is damaged")
        if self.damaged:
            raise DataError(
                f"{self.source} is damaged: {self.damaged} of its parts cannot be read; {self.count} frames were"
            )
        length = _stated_length(container, self.stream)
        if not self.ended and length - self.end - 1 / float(self.stream.average_rate or 25) > LACKING:
            raise DataError(f"{self.source} is cut short: it ends after {self.end:.1f} s of {length:.1f} s")


def _open(source: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingPackageError('reading videos needs PyAV: pip install "mpafer[video]"') from error
    try:
        if not source.startswith(CAMERA):
            return av.open(source)
        place, form = CAMERAS.get(sys.platform, CAMERAS["linux"])
        device = place.format(source.removeprefix(CAMERA))
        return av.open(device, format=form)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or str(error)
        if source.startswith(CAMERA):
            raise OptionError(f"{source}: there is no such camera ({device}: {reason})") from error
        if not os.path.exists(source):
            raise DataError(f"{source} is not there") from error
        raise DataError(f"{source} cannot be read as a video: {reason.lower()}; it is damaged, or no video") from error
