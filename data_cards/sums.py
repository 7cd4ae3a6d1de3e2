"""Numbers of a card that must agree with one another, whatever the run says."""

from collections.abc import Iterator

from gristmill.corpus.account import Account
from gristmill.data_cards.card import Card

# of card.json; never empty
FILLED = (
    "recipe", "lock", "environment", "stages", "funnel", "sources", "verdicts", "signals", "languages", "licenses",
    "shards", "shards_by_domain", "limits", "rebuild",
)  # fmt: skip
MAX_SHARE_ERROR = 1e-6


def inner_mistakes(card: Card) -> Iterator[str]:
    """Empty parts, accounts that do not balance, and sums that differ; each one sentence."""
    yield from (f"card.json: {name} is empty" for name in FILLED if not getattr(card, name))
    yield from _accounts(card)
    yield from _verdicts(card)
    yield from _encoded(card)
    yield from (
        f"edits: the bytes cut from {source}, by reason, are not those that the stage dropped"
        for source in unbalanced(card)
    )
    yield from _shares(card)


def _accounts(card: Card) -> Iterator[str]:
    for stage in card.funnel:
        for source, account in stage.sources.items():
            if not account.balanced:
                yield f"funnel: stage {stage.stage} does not conserve source {source}"
        if sum(stage.sources.values(), Account()) != stage.total:
            yield f"funnel: the total of stage {stage.stage} is not the sum of its sources"


def _verdicts(card: Card) -> Iterator[str]:
    """The ledger against the accounts of decide."""
    for source, account in _accounts_of(card, "decide").items():
        for verdict in ("kept", "dropped", "merged"):
            rows = [row for row in card.verdicts if (row.source, row.verdict) == (source, verdict)]
            for unit in ("documents", "bytes"):
                if sum(getattr(row, unit) for row in rows) != getattr(account, f"{unit}_{verdict}"):
                    yield f"verdicts: {unit} {verdict} of {source} differ between ledger and account"


def _encoded(card: Card) -> Iterator[str]:
    """What is left of each source against the account of tokens."""
    accounts = _accounts_of(card, "tokens")
    for source in card.sources:
        account = accounts.get(source.name, Account())
        if (source.kept, source.emptied, source.kept_bytes) != (
            account.documents_kept,
            account.documents_dropped,
            account.bytes_kept,
        ):
            yield f"sources: what is left of {source.name} is not what the account of tokens says"


def unbalanced(card: Card) -> list[str]:
    """Sources of the stage ``edits`` whose cut bytes, by reason, are not the bytes that its account drops."""
    return [
        source
        for source, account in _accounts_of(card, "edits").items()
        if account.bytes_dropped != sum(one.bytes for one in card.edits if one.source == source and not one.masks)
    ]


def _accounts_of(card: Card, stage: str) -> dict[str, Account]:
    return next((dict(one.sources) for one in card.funnel if one.stage == stage), {})


def _shares(card: Card) -> Iterator[str]:
    for share in ("target_share", "realised_share"):
        total = sum(getattr(entry, share) for entry in card.mixture.by_domain.values())
        if abs(total - 1) > MAX_SHARE_ERROR:
            yield f"mixture: {share} sums to {total:.6f}, not 1"
