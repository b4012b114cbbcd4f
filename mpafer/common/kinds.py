"""What a file is by its first bytes, in words, where it is of a kind that holds no weights."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

_POINTER = "a Git LFS pointer, which only names the file: get the file itself with git lfs pull"
_PAGE = "an HTML page, as a web site answers instead of a file: download the file itself"
_IMAGE = "an image: name the file of weights"
_ARCHIVE = "a packed archive: unpack it and name the file in it"
_FIRST_BYTES = (
    (b"version https://git-lfs", _POINTER),
    (b"\xff\xd8\xff", _IMAGE),
    (b"\x89PNG", _IMAGE),
    (b"GIF8", _IMAGE),
    (b"BM", _IMAGE),
    (b"II*\x00", _IMAGE),
    (b"MM\x00*", _IMAGE),
    (b"RIFF", "an image or a recording (RIFF): name the file of weights"),
    (b"%PDF", "a PDF document: name the file of weights"),
    (b"\x1f\x8b", _ARCHIVE),
    (b"BZh", _ARCHIVE),
    (b"7z\xbc\xaf", _ARCHIVE),
    (b"\xfd7zXZ", _ARCHIVE),
    (b"Rar!", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (b"\x89HDF", "an HDF5 file, as Keras writes weights: take the file of torch or safetensors"),
    (b"GGUF", "a GGUF file: take the file of torch or safetensors"),
    (b"\x93NUMPY", "an array of NumPy: take the file of torch or safetensors"),
    (b"\x7fELF", "a program: name the file of weights"),
)
_BROKEN_ZIP = (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, ValueError, OSError)  # of Python's zipfile


def foreign_kind(path: Path) -> str:
    """What a file is, and what to do about it; "" where it may hold tensors.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return "empty: copy or download it again"
    if is_safetensors(path):  # first: its length may read as anything
        return ""
    for first, what in _FIRST_BYTES:
        if start.startswith(first):
            return what
    if start.startswith(b"PK"):
        return _packed(path)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return _PAGE
    if text.startswith((b"{", b"[")):
        return "JSON text, which holds no weights; the index of a model in parts is named ....index.json"
    if start.startswith((b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return "a pickle of Python's: save the tensors anew with torch.save or as safetensors"
    if text.isascii() and b"\x00" not in text:
        return f"text, which begins {text[:40].decode().partition(chr(10))[0]!r}: name the file of weights"
    return ""


def is_safetensors(path: Path) -> bool:
    """Whether the file begins as safetensors do, whatever its name: eight bytes of length, then JSON."""
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000


def is_torchscript(path: Path) -> bool:
    """Whether the file is an archive of TorchScript, as OpenAI's weights are."""
    return any(name.endswith("/constants.pkl") for name in _names(path))


def damaged_part(path: Path) -> str:
    """Name of the first part of a zip archive whose checksum is wrong; "" where all are right, or it is none."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            return ""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() or ""
    except (*_BROKEN_ZIP, zlib.error, EOFError):
        return "its table of contents"


def _packed(path: Path) -> str:
    """The same for a zip archive, which torch's files are."""
    names = _names(path)
    if not names:
        return "an archive that is cut short: copy or download it again"
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in names):
        return ""
    return f"a zip archive without weights, it holds {', '.join(names[:3])}: unpack it and name the file in it"


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except _BROKEN_ZIP:
        return []
