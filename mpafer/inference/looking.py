"""What of a picture is classified: its faces, or the whole of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
from PIL import Image

from mpafer.common.errors import MissingPackageError
from mpafer.common.options import check_choice
from mpafer.faces.alignment import Template, align
from mpafer.faces.choice import Choice, Mode, choose
from mpafer.faces.detector import Detector, Faces, load_detector
from mpafer.inference.pictures import Picture


@dataclass(frozen=True)
class Look:
    """What is read of a picture: the images to classify, one a face or the whole picture alone, and the choice."""

    name: str
    images: Sequence[Image.Image]
    choice: Choice


class Looker:
    """Looks for faces, and brings them upright.

    Args:
        detector: a detector, or its name or path; it is loaded when the first picture needs it.
        template: gives where eyes and mouth lie in the images that the model was trained on; asked for when the first
            picture needs it, since it may have to be measured.
        size: pixels of a face's crop.
    """

    def __init__(self, detector: Detector | str, template: Callable[[], Template], size: int) -> None:
        self.size = size
        self._detector, self._template, self._missing = detector, template, ""

    @cached_property
    def template(self) -> Template:
        """Where eyes and mouth are brought to."""
        return self._template()

    def look(self, picture: Picture, mode: Mode) -> Look:
        """What is read of a picture.

        Raises:
            MissingPackageError: faces are asked for and cannot be found; with ``auto`` the whole picture is read then.
        """
        pixels = np.asarray(picture.image)
        height, width = pixels.shape[:2]
        found = self._find(pixels, mode)
        choice = choose(found, mode, height, width, *([self.template] if len(found) else []))
        if choice.whole:
            if self._missing and mode == "auto":
                choice = Choice(Faces.none(), (), True, f"the whole image is read: {self._missing}")
            return Look(picture.name, [picture.image], choice)
        crops = [align(pixels, each, self.template, self.size) for each in choice.faces.landmarks]
        return Look(picture.name, [Image.fromarray(crop) for crop in crops], choice)

    def _find(self, pixels: np.ndarray, mode: Mode) -> Faces:
        if mode == "none" or (mode == "auto" and self._missing):
            return Faces.none()
        if isinstance(self._detector, str):
            try:
                self._detector = load_detector(self._detector)
            except MissingPackageError as error:
                if mode != "auto":
                    raise
                self._missing = str(error)
                return Faces.none()
        return self._detector.find(pixels)


def check_mode(mode: str) -> Mode:
    """A mode by its word; raises OptionError where it is none."""
    check_choice("faces", mode, get_args(Mode))
    return mode  # type: ignore[return-value]
