"""Accounts: where every document and byte of a source went. in = kept + dropped + merged, or the stage fails."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from operator import add, attrgetter

from gristmill.corpus.errors import ConservationError


@dataclass(frozen=True, slots=True)
class Account:
    """One source's documents and bytes through one stage.

    At ingest a document that was rejected or skipped counts as dropped, and bytes are raw input bytes.
    """

    documents_in: int = 0
    documents_kept: int = 0
    documents_dropped: int = 0
    documents_merged: int = 0
    bytes_in: int = 0
    bytes_kept: int = 0
    bytes_dropped: int = 0
    bytes_merged: int = 0

    def __add__(self, other: "Account") -> "Account":
        return Account(*map(add, _figures(self), _figures(other)))

    @property
    def balanced(self) -> bool:
        """True when nothing was lost or invented."""
        documents = self.documents_kept + self.documents_dropped + self.documents_merged
        return (
            self.documents_in == documents and self.bytes_in == self.bytes_kept + self.bytes_dropped + self.bytes_merged
        )


Accounts = Mapping[str, Account]
_NAMES = tuple(field.name for field in fields(Account))
_figures = attrgetter(*_NAMES)  # ``asdict`` copies deeply: of a hundred parts it was a third of a card's time


def passed_on(documents: int, n_bytes: int) -> Account:
    """The account of a stage that keeps everything (signals, mentions ...).

    >>> passed_on(2, 10).balanced
    True
    """
    return Account(documents, documents, 0, 0, n_bytes, n_bytes, 0, 0)


def add_up(many: Iterable[Accounts]) -> dict[str, Account]:
    """Sum accounts source by source, sources in order of name."""
    found: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for accounts in many:
        for source, account in accounts.items():
            found[source].append(_figures(account))
    return {source: Account(*map(sum, zip(*rows, strict=True))) for source, rows in sorted(found.items())}


def check_conservation(stage: str, accounts: Accounts) -> None:
    """Raise ConservationError naming stage and source when a source's account does not balance."""
    for source, account in accounts.items():
        if not account.balanced:
            raise ConservationError(
                f"stage {stage!r} does not conserve source {source!r}: {account}. "
                "Expected in = kept + dropped + merged, in documents and in bytes. "
                "This is a defect of the mill: please report it with the run's lock.json."
            )


def to_json(accounts: Accounts) -> dict[str, dict[str, int]]:
    """Accounts as plain JSON."""
    return {source: dict(zip(_NAMES, _figures(account), strict=True)) for source, account in accounts.items()}


def from_json(value: Mapping[str, Mapping[str, int]]) -> dict[str, Account]:
    """The inverse of ``to_json``."""
    return {source: Account(**fields) for source, fields in value.items()}
