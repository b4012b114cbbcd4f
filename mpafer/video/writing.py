"""A video with the answers drawn on its frames, at the times they had."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from PIL import Image

TICK = Fraction(1, 1000)  # seconds; of the frames' times
CODECS = ("libx264", "mpeg4")  # the first that PyAV was built with


class VideoWriter:
    """A context in which frames are written to an .mp4 file, which is made with the first of them.

    Args:
        path: of the file; None = nothing is written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self.last = path, -1
        self.container: Any = None
        self.stream: Any = None

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, image: Image.Image, time: float) -> None:
        """A frame that is shown from ``time`` on, in seconds; of another size than the first it is resized."""
        if self.path is None:
            return
        import av

        if self.container is None:
            self._start(self.path, image)
        size = self.stream.width, self.stream.height
        frame = av.VideoFrame.from_image(image if image.size == size else image.resize(size))
        self.last = max(round(time / TICK), self.last + 1)
        frame.pts, frame.time_base = self.last, TICK
        self.container.mux(self.stream.encode(frame))

    def _start(self, path: Path, image: Image.Image) -> None:
        import av

        self.container = av.open(str(path), "w", options={"movflags": "+faststart"})
        codec = next(name for name in CODECS if name in av.codecs_available)
        self.stream = self.container.add_stream(codec, rate=30)
        self.stream.width, self.stream.height = (side + side % 2 for side in image.size)  # H.264 has even sides alone
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = TICK

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.container is not None:
            self.container.mux(self.stream.encode())
            self.container.close()
