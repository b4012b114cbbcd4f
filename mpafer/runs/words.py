"""The words of a command line after a method and a data set."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mpafer.common.errors import OptionError
from mpafer.results.experiments import ALL
from mpafer.runs.catalog import default_cfg
from mpafer.runs.folders import Pairs


def read_words(dataset: str, words: Sequence[str]) -> tuple[str, int, Pairs]:
    """``[CFG] [SHOTS] [KEY VALUE ...]``: config, shots and options.

    Raises:
        OptionError: shots that are no number, a word that is left over, or one that is no key.
    """
    cfg = words[0] if words else default_cfg(dataset)
    return cfg, read_shots(words[1]) if len(words) > 1 else ALL, read_options(words[2:])


def read_shots(word: str) -> int:
    """A number of images per class.

    Raises:
        OptionError: it is none.
    """
    if not re.fullmatch(r"-1|[1-9]\d*", word):
        raise OptionError(f"SHOTS is a number of images per class, or {ALL} for all, not {word!r}")
    return int(word)


def read_options(words: Sequence[str]) -> Pairs:
    """KEY VALUE words as pairs.

    Raises:
        OptionError: a word is left over, or is no key.
    """
    for key in words[::2]:
        if key.startswith("-"):
            raise OptionError(f"no option {key}: --help names them")
    if len(words) % 2:
        raise OptionError(f"options come as KEY VALUE pairs; {words[-1]!r} is left over")
    return tuple(zip(words[::2], words[1::2], strict=True))
