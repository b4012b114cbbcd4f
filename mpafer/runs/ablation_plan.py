"""The runs of an ablation: what each variant's command line has to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mpafer.common.errors import OptionError
from mpafer.results.variants import Ablation, doubling, load_ablation

if TYPE_CHECKING:
    from yacs.config import CfgNode

NODE = "TRAINER.MPAFER."


def plan(name: str, dataset: str, cfg: str, pairs: Sequence[str] = ()) -> dict[str, list[str]]:
    """Label -> KEY VALUE pairs: the variant's options that are not the config's anyway, then the given pairs.

    Raises:
        OptionError: an unknown name or option, a pair that the ablation varies, or a k beyond the patches.
        MissingFileError: no such config.
    """
    ablation = load_ablation(name)
    check_options(ablation)
    for key in pairs[::2]:
        if key.removeprefix(NODE) in ablation.varied:
            raise OptionError(f"{key} is what the ablation {name} varies: leave it out")
    config = make_config(dataset, cfg, pairs)
    usual = config.TRAINER.MPAFER
    variants = ablation.variants
    if ablation.doubling:
        variants = ablation.doubled(doubling(_patches(config)))
    elif "TOP_K" in ablation.varied or f"{NODE}TOP_K" in pairs[::2]:
        _refuse_beyond(variants, usual, _patches(config), config.MODEL.BACKBONE.NAME)
    return {
        label: [word for key, value in options.items() if value != usual[key] for word in (NODE + key, str(value))]
        + list(pairs)
        for label, options in variants.items()
    }


def check_options(ablation: Ablation) -> None:
    """Raises OptionError on an option that MPA-FER does not have, or a value it cannot take."""
    from mpafer.trainers.mpafer import MPAFEROptions  # torch and all: a table does without

    for label, options in ablation.variants.items():
        try:
            MPAFEROptions.of(options)
        except ValueError as error:
            raise OptionError(f"ablation {ablation.name}, variant {label!r}: {error}") from error


def make_config(dataset: str, cfg: str, pairs: Sequence[str]) -> CfgNode:
    """The config of a run, as train.py puts it together."""
    from mpafer.configs import ROOT
    from mpafer.run_config import run_config

    return run_config("MPAFER", dataset, method_file=ROOT / "trainers" / "MPAFER" / f"{cfg}.yaml", pairs=pairs)


def _patches(config: CfgNode) -> int:
    from mpafer.clip import load_clip

    backbone = config.MODEL.BACKBONE
    return load_clip(backbone.NAME, activation=backbone.ACTIVATION).visual.patches


def _refuse_beyond(variants: dict[str, dict[str, Any]], usual: CfgNode, patches: int, backbone: str) -> None:
    for label, options in variants.items():
        whole = dict(usual) | options
        if whole["ALIGNMENT"] != "global" and not whole["TOP_K"] <= patches:
            raise OptionError(
                f"variant {label!r}: TOP_K is {whole['TOP_K']}, but {backbone} has {patches} patches; "
                f"the closest is {patches}"
            )
