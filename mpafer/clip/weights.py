"""CLIP's weights by name or path: OpenAI's names, files in three formats, or the tiny CLIP shipped here."""

from __future__ import annotations

import hashlib
import logging
from http.client import HTTPException
from importlib import resources
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from mpafer.clip.backbone import Clip
from mpafer.clip.tokens import clip_module
from mpafer.common.errors import DataError, MissingFileError, OptionError
from mpafer.common.options import closest

logger = logging.getLogger(__name__)

CACHE = Path("~/.cache/clip").expanduser()  # OpenAI's package keeps its files there too
TINY = resources.files("mpafer.clip") / "assets" / "tiny.safetensors"


def load_clip(
    name: str = "ViT-B/16", *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> Clip:
    """Load a frozen CLIP.

    Args:
        name: one of OpenAI's ViT names (downloaded once to ``~/.cache/clip``), ``"tiny"`` (drawn faces, shipped with
            the package), or the path of a file: OpenAI's JIT archive, a plain or FaRL-style state dict, safetensors.
        device: where the weights go.
        dtype: precision of the blocks' matrices; layer norms and projections stay in float32.

    Raises:
        OptionError: an unknown name (the closest one is named), or the name of a ResNet CLIP.
        DataError: a file that holds no ViT CLIP with OpenAI's tensor names.
        MissingFileError: the file cannot be downloaded; says which file to put where.
    """
    if name == "tiny":
        state = read_state_dict(Path(str(TINY)))
    elif Path(name).expanduser().is_file():
        state = read_state_dict(Path(name).expanduser())
    else:
        state = read_state_dict(_named(name))
    clip = Clip.from_state_dict(state).cast(dtype).to(device)
    clip.name = name
    return clip


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors of a weight file: safetensors, JIT archive, plain or wrapped state dict.

    Raises:
        DataError: the file is damaged or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if _is_jit(path):
            return dict(torch.jit.load(str(path), map_location="cpu").state_dict())
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(
            f"{path} ({path.stat().st_size:,} bytes) cannot be read as CLIP weights; it is damaged, cut short or of "
            f"another kind: {reason}"
        ) from error
    return {key.removeprefix("module."): value for key, value in state.items() if isinstance(value, Tensor)}


def _is_jit(path: Path) -> bool:
    import zipfile

    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(entry.endswith("/constants.pkl") for entry in archive.namelist())


def _named(name: str) -> Path:
    """Path of OpenAI's file for ``name``, downloaded when it is absent or its checksum is wrong."""
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
