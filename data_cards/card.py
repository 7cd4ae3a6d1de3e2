"""card.json, format 2: a frozen dataclass for the card and, in ``parts``, for each part. The types are its schema."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gristmill.corpus.errors import CardError
from gristmill.corpus.typed_json import Json, from_json, to_json
from gristmill.data_cards.parts.accounts import Funnel, StageRow
from gristmill.data_cards.parts.corpus_identity import Identity
from gristmill.data_cards.parts.cut_text import Edits
from gristmill.data_cards.parts.dedup import Dedup, Repeats
from gristmill.data_cards.parts.handover import Packed, RowShape, Shard, Tokenizer
from gristmill.data_cards.parts.histogram import Histogram
from gristmill.data_cards.parts.judged_languages import JudgedLanguages
from gristmill.data_cards.parts.knowledge import Knowledge
from gristmill.data_cards.parts.ledger import DroppedRule, Verdict
from gristmill.data_cards.parts.mixture import Mixture
from gristmill.data_cards.parts.models import ClassifierRow, Reference
from gristmill.data_cards.parts.profile import HostRow, LanguageRow, LicenceRow
from gristmill.data_cards.parts.row_samples import RowSample
from gristmill.data_cards.parts.screens import Screens
from gristmill.data_cards.parts.sources import RejectRow, SourceRow
from gristmill.data_cards.takedowns import Takedown
from gristmill.filters.decide.stage import Reviewed
from gristmill.trainer.training_summary import TrainSummary

FORMAT = 2
CARD = "card.json"


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that a card says of a run; pages are made from this alone."""

    format: int
    identity: Identity
    recipe: str  # recipe.toml, word for word
    lock: Mapping[str, Any]  # lock.json, as it is
    environment: Mapping[str, str]
    run_stages: str  # names the content of stages.json
    stages: tuple[StageRow, ...]
    funnel: tuple[Funnel, ...]
    sources: tuple[SourceRow, ...]
    rejects: tuple[RejectRow, ...]
    verdicts: tuple[Verdict, ...]
    drops: tuple[DroppedRule, ...]
    reviewed: Reviewed
    judged_languages: JudgedLanguages
    edits: tuple[Edits, ...]
    dedup: Dedup
    repeats: Repeats
    screens: Screens
    signals: Mapping[str, Histogram]
    languages_by: str  # model | input
    languages: tuple[LanguageRow, ...]
    licenses: tuple[LicenceRow, ...]
    hosts: tuple[HostRow, ...]
    classifiers: tuple[ClassifierRow, ...]
    references: tuple[Reference, ...]
    knowledge: Knowledge | None
    tokenizer: Tokenizer
    mixture: Mixture
    rows: RowShape
    shards: Mapping[str, tuple[Shard, ...]]
    shards_by_domain: Mapping[str, Packed]
    heldout: Mapping[str, tuple[Shard, ...]]
    heldout_by_domain: Mapping[str, Packed]
    row_samples: Mapping[str, RowSample]
    training: TrainSummary | None
    takedowns: tuple[Takedown, ...]
    rebuild: str
    not_done: tuple[str, ...]  # what no stage of the run does
    limits: tuple[str, ...]

    def to_json(self) -> Json:
        """Plain JSON, the content of card.json."""
        return to_json(self)

    @classmethod
    def from_json(cls, value: Json) -> "Card":
        """The inverse of ``to_json``.

        Raises
        ------
        CardError : another format, or a key that is unknown, missing or of another type, with its path
        """
        found = value.get("format") if isinstance(value, dict) else None
        if found != FORMAT:
            raise CardError(
                f"{CARD} is of format {found}, this version reads {FORMAT}; `gristmill card RUN` writes it again"
            )
        return from_json(cls, value, CARD)


def card_text(value: Json) -> str:
    """JSON text for people and for machines: sorted keys, one text per value."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
