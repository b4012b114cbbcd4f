"""Linear probe of the frozen image features: logistic regression, as in CLIP. ICML 2021, arXiv 2103.00020, 3.2.

KaiyangZhou/CoOp, lpclip/ at ff61507, searches the strength of the regularisation on validation images; deviation: here
it is chosen by cross-validation within the training images, so that no method sees more images than another. Features
are CLIP's global ones, not normalised, of images without augmentation; L-BFGS to convergence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mpafer.clip import Clip
from mpafer.common import distributed
from mpafer.common.errors import OptionError
from mpafer.common.options import Options, option
from mpafer.engine.prototypes import frozen_features
from mpafer.prompting.model import FrozenClip, Output
from mpafer.prompting.precision import PRECISIONS, autocast
from mpafer.trainers.base import PromptTrainer, register_method

FOLDS, STRENGTHS = 4, [10.0**power for power in range(-6, 7)]


@dataclass(frozen=True)
class LinearProbeOptions(Options):
    """``TRAINER.LINEARPROBE``."""

    c: float = option(0.0, least=0)  # inverse strength of the l2 penalty; 0 = chosen among 1e-6 ... 1e6
    prec: str = option("fp32", choices=PRECISIONS)


class LinearProbeModel(FrozenClip):
    """``logits = W z + b`` over the global image feature. ``Output.text`` is W; there are no class prompts."""

    def __init__(self, clip: Clip, classnames: Sequence[str], options: LinearProbeOptions) -> None:
        probe = nn.Linear(clip.embed_dim, len(classnames), device=clip.device)
        nn.init.zeros_(probe.weight)
        nn.init.zeros_(probe.bias)
        super().__init__(clip, classnames, precision=options.prec, probe=probe)

    def forward(self, images: Tensor) -> Output:
        """Images [B, 3, H, H], normalised with CLIP's statistics -> `Output`."""
        with autocast(self.precision, images.device), torch.no_grad():
            image, patches = self.clip.visual(images)
        image, probe = image.float(), self.prompts["probe"]
        return Output(probe(image), image, patches.float(), probe.get_parameter("weight"))


def fit(
    features: np.ndarray, labels: np.ndarray, c: float, seed: int, balanced: bool = False
) -> tuple[np.ndarray, np.ndarray, float]:
    """Logistic regression [N, D], [N] -> weight [C, D], bias [C], and the inverse strength of its penalty.

    Args:
        features: [N, D].
        labels: [N].
        c: inverse strength; 0 = the best of STRENGTHS by cross-validation, or CLIP's 0.316 where a class has only one
            image.
        seed: of the folds.
        balanced: an image weighs ``N / (C n_c)``, and cross-validation compares mean recalls instead of accuracies.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    regression = partial(LogisticRegression, max_iter=1000, class_weight="balanced" if balanced else None)
    fewest = min(Counter(labels.tolist()).values())
    if not c and fewest > 1:
        folds = StratifiedKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
        judged = "balanced_accuracy" if balanced else "accuracy"
        search = GridSearchCV(regression(), {"C": STRENGTHS}, scoring=judged, cv=folds, refit=False)
        c = float(search.fit(features, labels).best_params_["C"])
    c = c or 0.316
    found = regression(C=c).fit(features, labels)
    return found.coef_, found.intercept_, c


@register_method
class LinearProbe(PromptTrainer):
    """Fits `LinearProbeModel` at once: its one epoch is the regression, whatever OPTIM says."""

    node = "LINEARPROBE"
    Options = LinearProbeOptions
    Model = LinearProbeModel
    class_prompts = False

    def check_cfg(self, cfg: Any) -> None:
        super().check_cfg(cfg)
        if cfg.DATALOADER.TRAIN_X.SAMPLER == "BalancedSampler":
            raise OptionError(
                "LinearProbe draws no batches: instead of BalancedSampler set TRAIN.CLASS_WEIGHTS balanced"
            )

    def run_epoch(self) -> None:
        self.num_batches = len(self.dm.train_loader)
        state = self.regression() if distributed.is_main() else {}
        self.model.prompts.load_state_dict(distributed.from_main(state))

    def before_train(self) -> None:
        self.max_epoch = 1
        super().before_train()

    def regression(self) -> dict[str, Tensor]:
        """The probe's weight and bias, fitted to all training images."""
        features, labels = frozen_features(self.model.clip, *self.plain_training_images())
        data = features.numpy(), labels.numpy()
        weight, bias, c = fit(*data, self.options.c, max(self.seed, 0), self.balances(self.cfg))
        if len(weight) == 1:  # for two classes scikit-learn gives only the second one's row
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        print(f"Logistic regression on {len(features)} images, C = {c:g}")
        return {"probe.weight": torch.from_numpy(weight).float(), "probe.bias": torch.from_numpy(bias).float()}
