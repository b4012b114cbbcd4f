"""Options of a method or a data set: a frozen dataclass, whose field ``n_ctx`` is the config key ``N_CTX``."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from mpafer.common.errors import OptionError
from mpafer.common.extensions import broken_note
from mpafer.common.ranges import ANY, Range

Self = TypeVar("Self", bound="Options")
T = TypeVar("T")


def option(
    default: Any,
    *,
    choices: tuple[Any, ...] = (),
    least: float | None = None,
    most: float | None = None,
    refused: tuple[Any, ...] = (),
) -> Any:
    """A dataclass field with the values it may take; checked when the options are made."""
    return field(default=default, metadata={"choices": choices, "range": Range(least, most=most, refused=refused)})


def closest(name: str, known: Iterable[str]) -> str:
    """The end of an error message on an unknown name: the nearest known one, or all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"


def find(what: str, name: str, known: Mapping[str, T]) -> T:
    """What goes by a name.

    Raises:
        OptionError: nothing does; the closest name is shown.
    """
    if name not in known:
        near = closest(name, known)
        own = "" if near.startswith("did you mean") else "; one of your own needs --import"
        raise OptionError(f"no {what} {name!r}: {near}{own}{broken_note()}")
    return known[name]


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Check the value of an option.

    Raises:
        OptionError: it is none of the choices, which are named.
    """
    choices = list(choices)
    if value not in choices:
        raise OptionError(f"{name} is {value!r}; choose one of {', '.join(map(str, choices))}")


@dataclass(frozen=True)
class Options:
    """Base of all options.

    Raises:
        OptionError: a value of another type, or outside what it may be.
    """

    def __post_init__(self) -> None:
        for entry in fields(self):
            name, value = entry.name.upper(), getattr(self, entry.name)
            wanted = (int, float) if isinstance(entry.default, float) else (type(entry.default),)
            if type(value) not in wanted:
                raise OptionError(f"{name} is {value!r}; it must be of type {wanted[-1].__name__}")
            if choices := entry.metadata.get("choices"):
                check_choice(name, value, choices)
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                entry.metadata.get("range", ANY).check(name, value)

    @classmethod
    def of(cls: type[Self], values: Mapping[str, Any]) -> Self:
        """From keyword arguments or a config node, in either case of letters.

        Raises:
            OptionError: an unknown option; names the closest known one.
        """
        known = {entry.name for entry in fields(cls)}
        lower = {key.lower(): value for key, value in values.items()}
        for key in lower.keys() - known:
            raise OptionError(f"{cls.__name__} has no option {key!r}: {closest(key, known)}")
        return cls(**lower)

    def node(self) -> dict[str, Any]:
        """Upper-case keys and values, as in the config tree."""
        return {key.upper(): value for key, value in dataclasses.asdict(self).items()}
