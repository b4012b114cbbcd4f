"""Teachers from frozen CLIP: hand-written sentences, descriptions by a language model, and class prototypes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from mpafer.clip import Clip
from mpafer.clip.tokens import eot_positions
from mpafer.common.errors import DataError, OptionError
from mpafer.common.options import closest
from mpafer.prompting.descriptions import Description, as_texts
from mpafer.prompting.text import pool_tokens

TEMPLATES = Path(__file__).with_name("templates.yaml")

NAME = "a photo of {name}"
EXPRESSION = "a photo of a person making a facial expression of {name}"
DESCRIBED = EXPRESSION + ". {description}"
GRANULARITIES = {1: NAME, 2: EXPRESSION, 3: DESCRIBED}


def hard_prompts(
    classnames: Sequence[str], descriptions: Mapping[str, Description], granularity: int
) -> list[tuple[str, ...]]:
    """Hard prompts of each class: one, or in granularity 3 as many as it has descriptions.

    Args:
        classnames: C names; underscores read as spaces.
        descriptions: class name -> text or texts; only granularity 3 reads it.
        granularity: 1 the name, 2 the expression sentence, 3 the sentence and a description of the class.

    Raises:
        OptionError: granularity 3 and a class without a description.
    """
    missing = [name for name in classnames if granularity == 3 and not as_texts(descriptions.get(name, ()))]
    if missing:
        raise OptionError(
            f"no description for {missing}; add them to the descriptions file (DATASET.DESCRIPTIONS) or set "
            "HARD_PROMPT to 1 or 2"
        )
    template = GRANULARITIES[granularity]
    return [
        tuple(
            template.format(name=name.replace("_", " "), description=text)
            for text in (as_texts(descriptions[name]) if granularity == 3 else ("",))
        )
        for name in classnames
    ]


@torch.no_grad()
def hard_prompt_features(
    clip: Clip, classnames: Sequence[str], prompts: Sequence[Sequence[str]], pooling: str = "mean"
) -> tuple[Tensor, Tensor]:
    """Pooled token embeddings [C, W] and text features [C, D] of the hard prompts, float32.

    Of a class with several prompts: the mean of their pooled embeddings, so a long prompt weighs no more than a short
    one; and the mean of their features, each of length 1, brought to length 1 again (CLIP's prompt ensemble). Those of
    a single prompt are as CLIP gives them.

    Args:
        clip: frozen backbone.
        classnames: C names.
        prompts: of each class.
        pooling: of a prompt's tokens.

    Raises:
        OptionError: a prompt does not fit 77 tokens; names its class.
    """
    rows = []
    for name, texts in zip(classnames, prompts, strict=True):
        try:
            rows.append(clip.tokenize(texts))
        except OptionError as error:
            raise OptionError(f"hard prompt of class {name!r}: {error}") from error
    tokens, counts = torch.cat(rows), [len(row) for row in rows]
    pooled = pool_tokens(clip.text.embed(tokens).float(), eot_positions(tokens), pooling).split(counts)
    features = clip.encode_text(tokens).float().split(counts)
    return torch.stack([each.mean(dim=0) for each in pooled]), torch.stack([_ensemble(each) for each in features])


def _ensemble(features: Tensor) -> Tensor:
    """[S, D] -> [D]."""
    if len(features) == 1:
        return features[0]
    return F.normalize(F.normalize(features, dim=-1).mean(dim=0), dim=-1)


@torch.no_grad()
def template_features(clip: Clip, classnames: Sequence[str], templates: Sequence[str], *, unit: bool = True) -> Tensor:
    """Text features [C, D] of ``templates`` with the class in the place of ``{name}``, averaged, float32.

    Args:
        clip: frozen backbone.
        classnames: C names; underscores read as spaces.
        templates: sentences with ``{name}``.
        unit: each sentence's feature has length 1 before the mean (CLIP, CoOp); PromptSRC averages them as they are.
    """
    total = torch.zeros(len(classnames), clip.embed_dim, device=clip.device)
    for template in templates:
        features = clip.encode_text(clip.tokenize(fill(template, classnames))).float()
        total += F.normalize(features, dim=-1) if unit else features
    return total / len(templates)


def fill(template: str, classnames: Sequence[str]) -> list[str]:
    """The sentences of ``template``, with each class in the place of ``{name}``.

    Raises:
        OptionError: the template has no ``{name}``.
    """
    if "{name}" not in template:
        raise OptionError(f"TEMPLATE is {template!r}: it needs {{name}} where the class name goes")
    return [template.replace("{name}", name.replace("_", " ")) for name in classnames]


def load_templates(name: str) -> list[str]:
    """A set of sentences from templates.yaml, which says where each comes from.

    Raises:
        OptionError: no set of that name; the closest one is named.
    """
    sets = yaml.safe_load(TEMPLATES.read_text("utf-8"))
    if name not in sets:
        raise OptionError(f"TEMPLATES is {name!r}: {closest(name, sets)}")
    return sets[name]


def check_prototypes(prototypes: Tensor, classes: int, dim: int) -> None:
    """Raises OptionError where prototypes are no finite decimals [C, D]; says what they are."""
    if not isinstance(prototypes, Tensor) or not prototypes.is_floating_point():
        kind = prototypes.dtype if isinstance(prototypes, Tensor) else type(prototypes).__name__
        raise OptionError(f"prototypes are {kind}, expected a tensor of decimals")
    if prototypes.shape != (classes, dim):
        raise OptionError(f"prototypes are {tuple(prototypes.shape)}, expected {(classes, dim)}")
    bad = (~torch.isfinite(prototypes)).any(dim=1)
    if bad.any():
        raise OptionError(f"prototypes hold NaN or infinity, first in row {int(bad.int().argmax())}")


@torch.no_grad()
def class_prototypes(clip: Clip, batches: Iterable[tuple[Tensor, Tensor]], num_classes: int) -> Tensor:
    """Mean global feature of the un-prompted encoder over each class's images, not normalised.

    Args:
        clip: frozen backbone.
        batches: (images [B, 3, H, H], labels [B]), not augmented.
        num_classes: C.

    Returns:
        [C, D], float32.

    Raises:
        DataError: a class has no image.
    """
    total = torch.zeros(num_classes, clip.embed_dim, device=clip.device)
    count = torch.zeros(num_classes, device=clip.device)
    for images, labels in batches:
        labels = labels.to(clip.device)
        total.index_add_(0, labels, clip.encode_image(images.to(clip.device)).float())
        count += torch.bincount(labels, minlength=num_classes)
    if (count == 0).any():
        empty = (count == 0).nonzero().flatten().tolist()
        raise DataError(f"no training image for class ids {empty}: their prototypes are not defined")
    return total / count[:, None]
