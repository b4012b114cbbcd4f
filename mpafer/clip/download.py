"""OpenAI's weight files by their names, downloaded once and checked."""

from __future__ import annotations

import hashlib
import logging
from http.client import HTTPException
from pathlib import Path

from filelock import FileLock

from mpafer.clip.tokens import clip_module
from mpafer.common.errors import MissingFileError, OptionError
from mpafer.common.options import closest

logger = logging.getLogger(__name__)

CACHE = Path("~/.cache/clip").expanduser()  # OpenAI's package keeps its files there too


def openai_file(name: str) -> Path:
    """Path of OpenAI's file for ``name``, downloaded when it is absent or its checksum is wrong.

    Raises:
        OptionError: an unknown name (the closest one is named), or the name of a ResNet CLIP.
        MissingFileError: the file cannot be downloaded; says which file to put where.
    """
    urls = clip_module()._MODELS
    if name not in urls:
        names = [known for known in urls if known.startswith("ViT")]
        raise OptionError(f"no CLIP named {name!r} and no file of that path; {closest(name, ['tiny', *names])}")
    if not name.startswith("ViT"):
        raise OptionError(f"{name} is a ResNet CLIP: no patch tokens, no place for visual prompts; take a ViT")
    url = urls[name]
    path, checksum = CACHE / url.rsplit("/", 1)[1], url.split("/")[-2]
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):  # several processes may start at once
        return _checked(name, url, path, checksum)


def _checked(name: str, url: str, path: Path, checksum: str) -> Path:
    fault = ""
    if path.is_file():
        if _sha256(path) == checksum:
            return path
        fault = f"{path} is damaged or cut short ({path.stat().st_size:,} bytes, wrong sha256). "
        logger.warning("%sDownloading it again", fault)
    try:
        part = CACHE / "part"  # in the same folder: a broken download leaves no half file under the final name
        Path(clip_module()._download(url, str(part))).replace(path)
    except (OSError, RuntimeError, HTTPException) as error:
        raise MissingFileError(
            f"{fault}{name} cannot be downloaded ({error}). On a machine with a network get {path.name} "
            f"(sha256 {checksum}) from {url} and put it at {path}, or name its path in MODEL.BACKBONE.NAME"
        ) from error
    return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
