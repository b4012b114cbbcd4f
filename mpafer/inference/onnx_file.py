"""A file of `mpafer export` read back: it answers by onnxruntime, NumPy and Pillow alone, without torch.

The file is an ONNX model of input ``images`` and outputs ``logits`` and ``probabilities``. What it says of itself lies
in its ``metadata_props``, each value a JSON text: docs/export.md lists them. The last is a checksum of all before it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from PIL import Image

from mpafer.common.errors import DataError, MissingPackageError, OptionError
from mpafer.inputs.reading import open_regular, reason_and_cure

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
CHECKSUM = "mpafer_checksum"
NEEDED = "needs onnx, onnxscript and onnxruntime: pip install 'mpafer[export]'"


class OnnxFile:
    """A model that classifies faces.

    Args:
        path: the file.

    Attributes:
        about: all that the file says of itself, by name.
        classnames: C class names, in the order of the answers.
        size: S, height and width of its images.
        note: "", or a sentence on what the answers are not good for.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        DataError: the file cannot be read, is damaged, or not of `mpafer export`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        try:
            with open_regular(self.path) as file:
                content = file.read()
        except Exception as error:
            raise DataError(f"cannot read {self.path}: {reason_and_cure(error)[0]}") from error
        self._open(content)

    @classmethod
    def of(cls, content: bytes, path: Path) -> OnnxFile:
        """The model in the bytes of a file; ``path`` is its name in messages."""
        model = cls.__new__(cls)
        model.path = path
        model._open(content)
        return model

    def _open(self, content: bytes) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingPackageError(f"{self.path} {NEEDED}") from error
        check_seal(content, self.path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; they are raised as well
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no base of their own
            reason = " ".join(f"{error}".split())
            raise DataError(
                f"onnxruntime {onnxruntime.__version__} cannot run {self.path}: {reason}; take a newer one"
            ) from error
        written: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.about: dict[str, Any] = {key: json.loads(text) for key, text in written.items() if key != CHECKSUM}
        if self.about["format"] > FORMAT:
            raise DataError(f"{self.path} is of mpafer {self.about['mpafer']}, which is newer: update mpafer")
        self.classnames: list[str] = self.about["classnames"]
        self.size: int = self.about["size"]
        self.note: str = self.about["note"]
        self._mean, self._std = (np.array(self.about[key], np.float32)[:, None, None] for key in ("mean", "std"))
        self._filter = Image.Resampling[self.about["interpolation"].upper()]

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """An RGB image -> [3, S, S]: shorter side to S, centre crop, mean and deviation; torchvision's numbers."""
        size, (width, height) = self.size, image.size
        short = min(width, height)
        if short != size:
            width, height = int(size * width / short), int(size * height / short)
            image = image.resize((width, height), self._filter)
        left, top = (round((side - size) / 2) for side in (width, height))
        pixels = np.asarray(image.crop((left, top, left + size, top + size)), np.float32).transpose(2, 0, 1) / 255
        normalised: NDArray[np.float32] = (pixels - self._mean) / self._std
        return normalised

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """[B, 3, S, S] as `preprocess` makes them -> [B, C]; raises OptionError on another shape or type."""
        return self._run("logits", images)

    def probabilities(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """[B, 3, S, S] as `preprocess` makes them -> [B, C]; raises OptionError on another shape or type."""
        return self._run("probabilities", images)

    def _run(self, output: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
        if images.ndim != 4 or images.shape[1:] != (3, self.size, self.size) or images.dtype != np.float32:
            raise OptionError(
                f"images are {images.dtype} {images.shape}, expected float32 (B, 3, {self.size}, {self.size})"
            )
        answer: NDArray[np.float32] = self._session.run([output], {"images": images})[0]
        return answer


def seal(content: bytes) -> bytes:
    """A serialised ONNX model with its checksum behind it: protobuf reads repeated fields wherever they stand."""
    digest = xxhash.xxh3_128_hexdigest(content).encode()
    key = CHECKSUM.encode()
    entry = bytes([0x0A, len(key)]) + key + bytes([0x12, len(digest)]) + digest  # StringStringEntryProto
    return content + bytes([0x72, len(entry)]) + entry  # field 14 of a ModelProto: metadata_props


def check_seal(content: bytes, path: Path) -> None:
    """Raise DataError where a file's content does not end in the checksum of what is before."""
    length = len(seal(b""))
    if seal(content[:-length]) != content:
        raise DataError(
            f"{path} is not what mpafer export wrote: another program's file, one that was changed, or not the whole; "
            "export the run again: mpafer export RUN --onnx FILE"
        )
