"""What sections of the recipe are made of: amounts, shares, names, and the section itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=32)]  # ends the name of a signal
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_SUFFIXES = {"K": 10**3, "M": 10**6, "B": 10**9, "G": 10**9, "T": 10**12}


def parse_amount(value: Any) -> Any:
    """An amount of tokens or bytes: a number, or a text with K, M, B (or G) or T.

    >>> parse_amount("4M"), parse_amount("1.5K"), parse_amount(12)
    (4000000, 1500, 12)
    """
    if not isinstance(value, str):
        return value
    text = value.strip().replace("_", "").upper()
    scale = _SUFFIXES.get(text[-1:], 1)
    try:
        return round(float(text[:-1] if scale > 1 else text) * scale)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is no amount; write 4000000 or '4M'") from None


Amount = Annotated[int, BeforeValidator(parse_amount), Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with values that are each of the right kind.

    ``keys`` are all that it depends on, dots (or steps) leading into tables, relative to the section that finds it;
    the first is blamed. A mistake is left unsaid while one of its keys is wrong by itself.
    """

    keys: tuple[str | tuple[str | int, ...], ...]
    text: str


class Section(BaseModel):
    """A table of the recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    former: ClassVar[Mapping[str, str]] = {}  # keys of earlier versions, and what to write in their place

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong between the keys of this table; nothing unless a section says so."""
        yield from ()
