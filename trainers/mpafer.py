"""MPA-FER: Multimodal Prompt Alignment for Facial Expression Recognition. ICCV 2025, arXiv 2506.21017.

No official code is public. What paper and supplement leave open is an option; the README gives reasons for our choices.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mpafer.clip import Clip
from mpafer.common.distributed import world_size
from mpafer.common.options import Options, option
from mpafer.prompting.descriptions import Description, load_descriptions
from mpafer.prompting.losses import DISTANCES, contrastive_alignment
from mpafer.prompting.model import Output, PromptedClip
from mpafer.prompting.precision import PRECISIONS
from mpafer.prompting.similarity import ALIGNMENTS
from mpafer.prompting.teachers import GRANULARITIES, check_prototypes, hard_prompt_features, hard_prompts
from mpafer.prompting.text import MAX_CONTEXT, POOLINGS, ContextPrompts
from mpafer.prompting.visual import MAX_VISUAL, DeepVisualPrompts
from mpafer.trainers.base import Case, PromptTrainer, register_method


@dataclass(frozen=True)
class MPAFEROptions(Options):
    """``TRAINER.MPAFER``."""

    n_ctx: int = option(10, least=1, most=MAX_CONTEXT)  # M context vectors
    csc: bool = False  # class-specific context
    ctx_init: str = ""  # words the context starts from; their number of tokens is M then
    n_visual: int = option(8, least=0, most=MAX_VISUAL)  # N_p visual prompts a layer; 0 = none
    visual_depth: int = option(0, least=0)  # prompted layers from VISUAL_FIRST on; 0 = all
    visual_first: int = option(1, least=1)  # the first prompted layer
    hard_prompt: int = option(3, choices=tuple(GRANULARITIES))
    alignment: str = option("global_local", choices=ALIGNMENTS)
    top_k: int = option(16, least=1)
    logit_scale: float = option(0.0, least=0)  # s, factor of the similarities; 0 = CLIP's own, half for their sum
    tau: float = option(0.07, least=1e-3)  # temperature of both contrastive losses
    prompt_loss: str = option("contrastive", choices=("contrastive", *DISTANCES, "none"))
    token_loss: bool = True
    pooling: str = option("mean", choices=POOLINGS)  # of a prompt's tokens, for the token-level loss
    prototype_loss: str = option("cosine", choices=(*DISTANCES, "none"))
    prototype_sum: bool = False  # over the batch, as the paper is said to write it, instead of its mean
    prototype_shots: int = option(-1, least=-1, refused=(0,))  # images a prototype; -1 = all
    beta: float = option(1.0, least=0)  # weight of the text side
    gamma: float = option(1.0, least=0)  # weight of the prototypes
    prec: str = option("fp32", choices=PRECISIONS)


class MPAFERModel(PromptedClip):
    """Soft prompts aligned with hard ones, visual prompts held to prototypes, global and sparse local similarity.

    `mpafer.build_model` explains the arguments.
    """

    hard_tokens: Tensor
    hard_text: Tensor
    prototypes: Tensor | None

    def __init__(
        self,
        clip: Clip,
        classnames: Sequence[str],
        options: MPAFEROptions,
        *,
        descriptions: Mapping[str, Description] | None = None,
        prototypes: Tensor | None = None,
    ) -> None:
        text = ContextPrompts(clip, classnames, n_ctx=options.n_ctx, csc=options.csc, ctx_init=options.ctx_init)
        n, depth, first = options.n_visual, options.visual_depth, options.visual_first
        visual = DeepVisualPrompts(clip, n=n, depth=depth, first=first) if n else None
        super().__init__(
            clip, classnames, text=text, visual=visual,
            mode=options.alignment, top_k=options.top_k, logit_scale=options.logit_scale, precision=options.prec,
        )  # fmt: skip
        self.options = options
        if options.token_loss or options.prompt_loss != "none":
            if descriptions is None and options.hard_prompt == 3:
                descriptions = load_descriptions(classnames=classnames)
            prompts = hard_prompts(classnames, descriptions or {}, options.hard_prompt)
            hard = hard_prompt_features(clip, classnames, prompts, options.pooling)
            self.register_buffer("hard_tokens", hard[0], persistent=False)
            self.register_buffer("hard_text", hard[1], persistent=False)
        if prototypes is not None:
            check_prototypes(prototypes, len(classnames), clip.embed_dim)
        self.register_buffer("prototypes", prototypes, persistent=False)

    def losses(self, out: Output, labels: Tensor) -> dict[str, Tensor]:
        """``L = L_vt + beta (L_ta + L_pa) + gamma L_v``, each term already weighted."""
        options, losses = self.options, super().losses(out, labels)
        if options.token_loss:
            soft = out.pooled_prompts(options.pooling)
            losses["token_loss"] = options.beta * contrastive_alignment(soft, self.hard_tokens, options.tau)
        if options.prompt_loss == "contrastive":
            losses["prompt_loss"] = options.beta * contrastive_alignment(out.text, self.hard_text, options.tau)
        elif options.prompt_loss != "none":
            losses["prompt_loss"] = options.beta * DISTANCES[options.prompt_loss](out.text, self.hard_text)
        if options.prototype_loss != "none" and self.prototypes is not None:
            distance = DISTANCES[options.prototype_loss]
            losses["prototype_loss"] = options.gamma * distance(out.image, self.prototypes[labels])
            if options.prototype_sum:  # processes average their gradients, and each has its part of the batch
                losses["prototype_loss"] = losses["prototype_loss"] * len(labels) * world_size()
        return losses


@register_method
class MPAFER(PromptTrainer):
    """Trains `MPAFERModel`; before the first epoch it computes the prototypes from the training images."""

    node = "MPAFER"
    Options = MPAFEROptions
    Model = MPAFERModel
    per_class = "CSC"
    case = Case({"visual_depth": 1}, too_deep=("visual_depth", 5))
    accepts = ("descriptions", "prototypes")
    inference_overrides = {"token_loss": False, "prompt_loss": "none", "prototype_loss": "none"}  # noqa: RUF012

    @classmethod
    def untaught(cls, options: MPAFEROptions, teachers: Collection[str]) -> str:
        if options.prototype_loss == "none" or "prototypes" in teachers:
            return ""
        return (
            "without prototypes a term of the paper is missing in training: hand over "
            'prototypes=mpafer.class_prototypes(...), or say prototype_loss="none"'
        )

    def before_train(self) -> None:
        if self.options.prototype_loss != "none":
            self.model.prototypes = self.class_prototypes(self.options.prototype_shots)
        super().before_train()
