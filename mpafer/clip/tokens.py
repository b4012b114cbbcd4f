"""Text to token ids, with OpenAI's own tokenizer."""

from __future__ import annotations

import importlib
import sys
import types
import urllib.request  # noqa: F401  (clip's download uses urllib.request without importing it)
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from mpafer.common.errors import MissingPackageError, OptionError

CONTEXT_LENGTH = 77


@cache
def clip_module() -> types.ModuleType:
    """OpenAI's module ``clip.clip``; we use its ``tokenize``, ``_MODELS`` and ``_download`` and nothing else.

    Inside a CoOp or MaPLe checkout ``clip`` is the checkout's own, which has them too. The released package does
    ``from pkg_resources import packaging``, and setuptools 81 removed pkg_resources: during the import a stand-in with
    that one name is there, so any setuptools works.

    Raises:
        MissingPackageError: ``clip`` is missing, or is another package of that name.
    """
    stand_in = "pkg_resources" not in sys.modules
    if stand_in:
        module = types.ModuleType("pkg_resources")
        module.packaging = importlib.import_module("packaging")  # type: ignore[attr-defined]
        importlib.import_module("packaging.version")
        sys.modules["pkg_resources"] = module
    try:
        clip = importlib.import_module("clip.clip")
    except ImportError as error:
        raise MissingPackageError(
            f"OpenAI's clip cannot be imported ({error}); install it: pip install openai-clip"
        ) from error
    finally:
        if stand_in:
            del sys.modules["pkg_resources"]
    missing = [name for name in ("tokenize", "_MODELS", "_download") if not hasattr(clip, name)]
    if missing:
        raise MissingPackageError(f"{clip.__file__} is not OpenAI's clip: it has no {missing}; pip install openai-clip")
    return clip


def tokenize(texts: Sequence[str]) -> Tensor:
    """Texts -> token ids [C, 77], int64, zero-padded after the EOT token.

    Raises:
        OptionError: a text needs more than 77 tokens; no text is ever cut.
    """
    rows = []
    for text in texts:
        try:
            rows.append(clip_module().tokenize(text))
        except RuntimeError as error:
            raise OptionError(f"text is longer than CLIP's {CONTEXT_LENGTH} tokens, shorten it: {text!r}") from error
    return torch.cat(rows).long()


def eot_positions(tokens: Tensor) -> Tensor:
    """Position of each text's EOT [C]: CLIP's highest token id."""
    return tokens.argmax(dim=-1)
