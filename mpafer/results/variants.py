"""An ablation as `configs/ablations` declares it: variants of MPA-FER, each a label and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpafer.common.errors import OptionError
from mpafer.common.options import closest
from mpafer.common.texts import read_yaml
from mpafer.configs import ROOT

FOLDER = ROOT / "ablations"
_KEYS = {"title", "reference", "variants", "doubling", "published"}


@dataclass(frozen=True)
class Ablation:
    """What is varied. Every variant has every varied option: what its YAML leaves out is as in the reference."""

    name: str
    title: str
    reference: str  # label
    variants: dict[str, dict[str, Any]]  # label -> options, in the table's order
    doubling: tuple[str, str] | None = None  # symbol and option of 1, 2, 4, ... patches, up to all of them
    published: dict[str, dict[str, Any]] = field(default_factory=dict)  # data set -> {"source", "rows"[, "column"]}

    @property
    def varied(self) -> list[str]:
        return list(self.variants[self.reference])

    def doubled(self, values: list[int]) -> dict[str, dict[str, Any]]:
        """The variants of a doubling at these values."""
        assert self.doubling is not None
        symbol, option = self.doubling
        return {f"{symbol} = {value}": {option: value} for value in values}


def load_ablation(name: str) -> Ablation:
    """By name, one of `configs/ablations`, or by the path of a YAML of one's own.

    Raises:
        OptionError: an unknown name or key (the closest known one is named), or variants without their reference.
    """
    file = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not file.is_file():
        raise OptionError(f"no ablation {name!r}: {closest(name, (known.stem for known in FOLDER.glob('*.yaml')))}")
    content = read_yaml(file)
    try:
        return parse_ablation(file.stem, content)
    except OptionError as error:
        raise OptionError(f"{file}: {error}") from error


def parse_ablation(name: str, content: Mapping[str, Any]) -> Ablation:
    """From what the YAML holds; raises OptionError as `load_ablation` does."""
    if not isinstance(content, Mapping):
        raise OptionError(f"an ablation has the keys {', '.join(sorted(_KEYS))}")
    for key in content.keys() - _KEYS:
        raise OptionError(f"an ablation has no key {key!r}: {closest(str(key), _KEYS)}")
    if missing := {"title", "reference", "variants"} - content.keys():
        raise OptionError(f"an ablation needs {', '.join(sorted(missing))}")
    given = {str(label): dict(options or {}) for label, options in content["variants"].items()}
    reference = str(content["reference"])
    if reference not in given:
        raise OptionError(f"no variant {reference!r}, the reference: {closest(reference, given)}")
    for label, options in given.items():
        if unnamed := sorted(options.keys() - given[reference].keys()):
            raise OptionError(
                f"variant {label!r} has {', '.join(unnamed)}, the reference does not say what it is there"
            )
    symbols = [(str(symbol), str(option)) for symbol, option in content.get("doubling", {}).items()]
    if symbols and len(given) > 1:
        raise OptionError("of an ablation with 'doubling' the one variant is the reference")
    return Ablation(
        name=name,
        title=content["title"],
        reference=reference,
        variants={label: given[reference] | options for label, options in given.items()},
        doubling=symbols[0] if symbols else None,
        published=content.get("published", {}),
    )


def doubling(most: int) -> list[int]:
    """1, 2, 4, ... and ``most``."""
    return [2**power for power in range(most.bit_length()) if 2**power < most] + [most]
