"""The stages that ran, and the accounts of each: in = kept + dropped + merged."""

from collections.abc import Mapping
from dataclasses import dataclass

from gristmill.corpus.account import Account
from gristmill.corpus.files import content_key
from gristmill.data_cards.lock_facts import stage_version
from gristmill.data_cards.reading import Reading


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage of the run; ``key`` names its content, ``version`` its code, ``receipts`` all that its receipts say."""

    stage: str
    key: str
    version: str | None
    parts: int
    rows: int
    bytes: int
    receipts: str


@dataclass(frozen=True, slots=True)
class Funnel:
    """What one stage did with the documents and bytes of each source."""

    stage: str
    sources: Mapping[str, Account]
    total: Account
    balanced: bool


def stages(reading: Reading) -> tuple[StageRow, ...]:
    """Every finished stage, in order."""
    return tuple(
        StageRow(
            stage=manifest.stage,
            key=manifest.key,
            version=stage_version(reading.lock, manifest.stage),
            parts=len(manifest.parts),
            rows=manifest.rows,
            bytes=sum(file.bytes for part in manifest.parts for file in part.files),
            receipts=content_key(manifest.to_json()),
        )
        for manifest in reading.finished()
    )


def funnel(reading: Reading) -> tuple[Funnel, ...]:
    """Accounts of every stage that keeps any; ``balanced`` is found again from the numbers that are shown."""
    return tuple(
        Funnel(
            stage=manifest.stage,
            sources=manifest.accounts,
            total=sum(manifest.accounts.values(), Account()),
            balanced=all(account.balanced for account in manifest.accounts.values()),
        )
        for manifest in reading.finished()
        if manifest.accounts
    )
