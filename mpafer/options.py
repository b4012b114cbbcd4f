"""Options of a method: a frozen dataclass that is its config node too (field ``n_ctx`` = key ``N_CTX``)."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

Self = TypeVar("Self", bound="Options")


def option(default: Any, *, choices: tuple[Any, ...] = (), least: float | None = None) -> Any:
    """A dataclass field with the values it may take; checked when the options are made."""
    return field(default=default, metadata={"choices": choices, "least": least})


def closest(name: str, known: Iterable[str]) -> str:
    """The end of an error message on an unknown name: the nearest known one, or all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"


@dataclass(frozen=True)
class Options:
    """Base of every method's options. Raises ValueError on a value outside its choices or below its least."""

    def __post_init__(self) -> None:
        for entry in fields(self):
            value, choices, least = (
                getattr(self, entry.name),
                entry.metadata.get("choices"),
                entry.metadata.get("least"),
            )
            if choices and value not in choices:
                raise ValueError(f"{entry.name.upper()} is {value!r}; choose one of {', '.join(map(str, choices))}")
            if least is not None and value < least:
                raise ValueError(f"{entry.name.upper()} is {value}; it must be at least {least}")

    @classmethod
    def of(cls: type[Self], values: Mapping[str, Any]) -> Self:
        """From keyword arguments or a config node, in either case of letters.

        Raises:
            ValueError: an unknown option; names the closest known one.
        """
        known = {entry.name for entry in fields(cls)}
        lower = {key.lower(): value for key, value in values.items()}
        for key in lower.keys() - known:
            raise ValueError(f"{cls.__name__} has no option {key!r}: {closest(key, known)}")
        return cls(**lower)

    def node(self) -> dict[str, Any]:
        """Upper-case keys and values, as in the config tree."""
        return {key.upper(): value for key, value in dataclasses.asdict(self).items()}
