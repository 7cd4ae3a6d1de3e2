"""Shares by name: ``shares = "proportional"``, ``"temperature:2"``, ``"unimax"`` or ``"tuned:FILE"`` in a phase.

The first three are computed from the tokens that each domain really has, when the plan is made; the file of the
fourth, which a tuning wrote, is read before anything runs. Nothing heavy is imported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gristmill.corpus.errors import PlanError, nearest
from gristmill.corpus.files import read_json
from gristmill.mixing.baselines import level, proportional, temperature

FORMAT = "gristmill-mixture-1"
TUNED = "tuned"
DEFAULT_TEMPERATURE = 2.0


@dataclass(frozen=True, slots=True)
class Stock:
    """What a phase may draw on: tokens of each domain's documents, how many the caps leave it, and its own length."""

    tokens: Mapping[str, float]
    capacity: Mapping[str, float]
    budget: float


@dataclass(frozen=True, slots=True)
class Named:
    """A name of shares and what stands behind its colon."""

    name: str
    argument: str = ""


POLICIES: Mapping[str, Callable[[Stock, str], dict[str, float]]] = {
    "proportional": lambda stock, _: proportional(stock.tokens),
    "temperature": lambda stock, T: temperature(stock.tokens, float(T or DEFAULT_TEMPERATURE)),
    "unimax": lambda stock, _: level(stock.capacity, stock.budget),
}


def parse(text: str) -> Named:
    """Read the text of ``shares``.

    Raises
    ------
    ValueError : there is no such name, or what stands behind its colon is missing, too much, or no number

    >>> parse("temperature:5")
    Named(name='temperature', argument='5')
    """
    name, colon, argument = text.partition(":")
    if name not in (*POLICIES, TUNED):
        raise ValueError(f"no shares are called {name!r}{nearest(name, (*POLICIES, TUNED))}")
    if name == "temperature" and colon:
        if not _above_zero(argument):
            raise ValueError(f"{argument!r} is no temperature above 0, as in 'temperature:2'")
    elif bool(argument) != (name == TUNED):
        raise ValueError("write 'tuned:FILE'" if name == TUNED else f"{name!r} takes nothing behind a colon")
    return Named(name, argument)


def _above_zero(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def tuned_shares(path: Path, corpus: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The shares in a file that a tuning wrote.

    Parameters
    ----------
    path : JSON {format, corpus, shares}
    corpus : the recipe's sources by domain, sorted; the file's must be the same, or it was tuned on other data

    Raises
    ------
    PlanError : the file is missing, not such a file, of another corpus, or its shares are none
    """
    try:
        found = read_json(path)
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']!r}, not {FORMAT!r}")  # noqa: TRY301
        shares, tuned_on = dict(found["shares"]), {name: sorted(found["corpus"][name]) for name in found["corpus"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlanError(f"cannot read the mixture in {path}: {type(error).__name__} {error}") from None
    if tuned_on != (here := {name: sorted(corpus[name]) for name in corpus}):
        raise PlanError(f"{path} was tuned on another corpus: {_difference(tuned_on, here)}; tune again")
    whole = {name: isinstance(share, float | int) and 0 <= share <= 1 for name, share in shares.items()}
    if not all(whole.values()) or set(shares) - set(here) or abs(sum(shares.values()) - 1) > 1e-6:
        raise PlanError(f"the shares in {path} are no shares of this recipe's domains that sum to 1")
    return shares


def _difference(tuned_on: Mapping[str, Sequence[str]], here: Mapping[str, Sequence[str]]) -> str:
    name = min(name for name in {*tuned_on, *here} if tuned_on.get(name) != here.get(name))
    there, now = (", ".join(one.get(name, ())) or "no source" for one in (tuned_on, here))
    return f"domain {name!r} came from {there} there, here from {now}"


def resolve(named: str, stock: Stock) -> dict[str, float]:
    """The shares of one phase; a domain without tokens has none."""
    asked = parse(named)
    present = {name: n for name, n in stock.tokens.items() if n}
    return POLICIES[asked.name](replace(stock, tokens=present), asked.argument)
