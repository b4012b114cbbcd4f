"""What CLIP's tensors do not tell and its features depend on: the activation, and the number of heads."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from mpafer.clip import huggingface, openclip
from mpafer.clip.config_file import ModelConfig
from mpafer.clip.preprocess import PIXEL_MEAN, PIXEL_STD
from mpafer.clip.reading import Weights
from mpafer.clip.sizes import QUICKGELU, Sizes, expand_vocabulary
from mpafer.common.errors import DataError, OptionError

logger = logging.getLogger(__name__)

KEY = "MODEL.BACKBONE.ACTIVATION"
_SURE = {"archive": "OpenAI's own file", "tiny": "mpafer's own file"}  # origin -> why it is QuickGELU


@dataclass(frozen=True)
class Settings:
    """``quickgelu`` or ``gelu``, and heads of the vision and the text tower; None: as in known models."""

    activation: str
    heads: tuple[int, int] | None


def find_settings(path: Path, weights: Weights, asked: str = "") -> Settings:
    """Activation and heads of weights; one line of the log says which, and from what.

    The activation is what is asked for, or what the config file beside the weights says, or QuickGELU where the names
    are OpenAI's; that is a guess, and a warning, where open_clip may have written them as well.

    Raises:
        OptionError: nothing tells.
        DataError: a config file that asks for what is not computed here.
    """
    sizes = Sizes.of(expand_vocabulary(weights.state)[0])
    try:
        config = config_beside(path, weights.origin, sizes)
    except DataError as error:
        raise DataError(f"{error}; where that file is not of these weights, keep them in other folders") from error
    heads = config.heads if config else (sizes.visual.usual_heads, sizes.text.usual_heads)
    activation, source, level = asked, f"as {KEY} says", logging.INFO
    if asked and config and config.activation != asked:
        source, level = f"{source}, though {config.file} says {config.activation}", logging.WARNING
    elif config:
        activation, source = config.activation, f"as {config.file} says"
    elif not asked and weights.origin in _SURE:
        activation, source = QUICKGELU, _SURE[weights.origin]
    elif not asked and weights.origin == "openai":
        activation, level = QUICKGELU, logging.WARNING
        source = f"a guess from OpenAI's names, no config file tells: for plain GELU set {KEY} gelu"
    elif not asked:
        raise OptionError(
            f"{path}: its activation is not known, since {_config_name(weights.origin)} is not beside it: put that "
            f"there, or set {KEY} to quickgelu (OpenAI's weights, DFN, MetaCLIP) or gelu (LAION's, DataComp's)"
        )
    logger.log(level, "%s: activation %s (%s), %d and %d heads", path.name, activation, source, *heads)
    return Settings(activation, heads)


def config_beside(path: Path, origin: str, sizes: Sizes) -> ModelConfig | None:
    """The config file in the weights' folder that is of these sizes; where there are two, that of their naming."""
    readers = [openclip.read_config, huggingface.read_config]
    for read in reversed(readers) if origin == "huggingface" else readers:
        config = read(path.parent) if origin not in _SURE else None
        if config and not config.fits(sizes):
            logger.warning("%s is of a model of other sizes than %s: it is passed over", config.file, path.name)
        elif config:
            _warn_of_pixels(config)
            return config
    return None


def _config_name(origin: str) -> str:
    return huggingface.CONFIG if origin == "huggingface" else openclip.CONFIG


def _warn_of_pixels(config: ModelConfig) -> None:
    if config.pixels and [list(values) for values in config.pixels] != [list(PIXEL_MEAN), list(PIXEL_STD)]:
        logger.warning(
            "%s: images were normalised by %s and %s; set INPUT.PIXEL_MEAN and INPUT.PIXEL_STD to that",
            config.file.parent, *config.pixels,
        )  # fmt: skip
