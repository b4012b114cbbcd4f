"""Opt-in repairs for a checkout's own trainers: Dassl on current torch, and a `clip` that takes paths.

Neither is ever applied by itself; our trainers need neither.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mpafer.common.errors import MissingFileError, OptionError
from mpafer.common.files import atomic_file, cache_folder
from mpafer.common.kinds import damaged_part
from mpafer.dassl.register import dassl_module


def repair_dassl() -> list[str]:
    """Make Dassl's warm-up schedules and its reading of checkpoints work on current torch.

    - The schedules pass ``verbose`` to torch's, which dropped it: TypeError.
    - They save the schedule that follows the warm-up as an object with an optimiser of its own. A resumed run then
      changes that optimiser's rate, and its own stays where it was. Here the numbers are saved and loaded.
    - ``load_checkpoint`` has torch.load's default, which once was to read any object and now refuses those schedules.
      What it refuses is read the old way: such a file can run code, load what you trust.

    Returns:
        What was repaired, one line each; nothing the second time.

    Raises:
        MissingPackageError: Dassl is not installed here.
    """
    done = []
    schedules = dassl_module("dassl.optim.lr_scheduler")
    if not getattr(schedules, "repaired_by_mpafer", False):
        _repair_schedule(schedules._BaseWarmupScheduler)
        schedules.repaired_by_mpafer = True
        done.append("dassl.optim.lr_scheduler: warm-up schedules start, and resume with their rates")
    tools = dassl_module("dassl.utils.torchtools")
    broken = tools.load_checkpoint
    if not hasattr(broken, "repaired_by_mpafer"):
        dassl_module("dassl.engine")  # its modules took the function by name
        repaired = _repaired_reading(broken)
        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get("load_checkpoint") is broken:
                vars(module)["load_checkpoint"] = repaired
        done.append("dassl.utils.load_checkpoint: reads Dassl's own files")
    return done


def _repair_schedule(warmup: Any) -> None:
    own, follows = ("optimizer", "successor"), "successor_state"
    start: Any = super(warmup, warmup).__init__
    takes_verbose = "verbose" in inspect.signature(start).parameters

    def init(
        self: Any, optimizer: Any, successor: Any, warmup_epoch: int, last_epoch: int = -1, verbose: bool = False
    ) -> None:
        self.successor, self.warmup_epoch = successor, warmup_epoch
        start(self, optimizer, last_epoch, *([verbose] if takes_verbose else []))

    def state_dict(self: Any) -> dict[str, Any]:
        state = {key: value for key, value in vars(self).items() if key not in own}
        return state | {follows: self.successor.state_dict()}

    def load_state_dict(self: Any, state: dict[str, Any]) -> None:
        theirs = state["successor"].state_dict() if "successor" in state else state[follows]
        self.successor.load_state_dict(theirs)
        vars(self).update({key: value for key, value in state.items() if key not in (*own, follows)})

    warmup.__init__, warmup.state_dict, warmup.load_state_dict = init, state_dict, load_state_dict


def _repaired_reading(load_checkpoint: Callable[[str], Any]) -> Callable[[str], Any]:
    def load(fpath: str) -> Any:
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                return load_checkpoint(fpath)
        except pickle.UnpicklingError:
            return torch.load(fpath, map_location=None if torch.cuda.is_available() else "cpu", weights_only=False)
        except Exception:
            print(printed.getvalue(), end="")
            raise

    load.repaired_by_mpafer = True  # type: ignore[attr-defined]
    return load


class _NamesAndPaths(dict[str, str]):
    """Name -> address; a file's path is its own address."""

    def __missing__(self, name: str) -> str:
        return str(_openai_file(name))


def repair_clip() -> list[str]:
    """Let the `clip` of a checkout take a file's path, or ``tiny``, as MODEL.BACKBONE.NAME, not only a model's name.

    Returns:
        What was repaired, in one line; nothing the second time.
    """
    from mpafer.clip.tokens import clip_module

    clip: Any = clip_module()
    if isinstance(clip._MODELS, _NamesAndPaths):
        return []
    download = clip._download

    def path_or_download(url: str, *args: Any) -> str:
        try:
            return url if Path(url).is_file() else download(url, *args)
        except OSError as error:
            raise MissingFileError(
                f"{url} cannot be downloaded ({error}): get it elsewhere and give its path as --backbone"
            ) from error

    clip._MODELS, clip._download = _NamesAndPaths(clip._MODELS), path_or_download
    return [f"{clip.__name__}: MODEL.BACKBONE.NAME may be tiny or the path of a CLIP"]


def _openai_file(name: str) -> Path:
    """A file that OpenAI's loader reads: what the tensors of the one named are when written as a state dict.

    Raises:
        OptionError: weights that the checkout's CLIP would compute otherwise, since they are not OpenAI's in kind.
    """
    from mpafer.clip import load_clip

    clip = load_clip(name)
    openai = "quickgelu", (clip.visual.width // 64, clip.text.width // 64)
    if (clip.activation, clip.heads) != openai:
        raise OptionError(
            f"{name} has {clip.activation} and {clip.heads} heads, but a checkout's own CLIP computes {openai[0]} and "
            f"{openai[1]} heads: its answers would be wrong"
        )
    kept = cache_folder("clip") / f"{clip.fingerprint}.pt"
    if not kept.is_file() or damaged_part(kept):
        with atomic_file(kept) as file:
            torch.save(clip.openai_state_dict(), file)
    return kept
