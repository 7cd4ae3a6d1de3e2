"""What a run hands over: the tokenizer, rows, and shards with their digests."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from gristmill.corpus.errors import CardError
from gristmill.corpus.files import read_json
from gristmill.data_cards.reading import Reading
from gristmill.tokenizer.stage import COMPARISON, ComparedFacts, TextCounts, TokenizerFacts, TokensFacts


@dataclass(frozen=True, slots=True)
class EncodedDomain:
    """Kept text of one domain after cuts."""

    domain: str
    bytes: int
    tokens: int
    without_targets: int = 0  # of them, in rows that were not packed since nothing in them counts


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """The vocabulary, and the kept text in its tokens.

    ``unused`` counts the tokens that no document of a domain uses, under "" those that none at all uses.
    """

    vocab_size: int
    sample_bytes: int
    bytes_per_token: float
    encoded: tuple[EncodedDomain, ...]
    model: str = "byte-level BPE"
    trained: bool = True
    end: str | None = None
    texts: tuple[TextCounts, ...] = ()
    unused: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)  # conversations without an answer to learn, by reason
    rearranged: Mapping[str, int] = field(default_factory=dict)  # documents with their middle at the end, by domain
    compared: tuple["ComparedTokenizer", ...] = ()  # the run's own first; empty unless the recipe names others


@dataclass(frozen=True, slots=True)
class ComparedTokenizer:
    """One tokenizer on the kept text; conversations as bare text.

    ``unused`` counts the entries that no text uses, by domain and by language ("" where none is known) those that none
    of it does.
    """

    name: str  # in the recipe; "" is the run's own
    sha256: str
    vocab_size: int
    texts: tuple[TextCounts, ...]
    unused: int
    unused_by_domain: Mapping[str, int]
    unused_by_language: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RowShape:
    """What [shards] of the recipe asks for."""

    row_tokens: int
    heldout: float
    shard_rows: int
    batch_rows: int
    packing: str = "best_fit"


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of rows."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Packed:
    """All rows of a domain."""

    rows: int
    tokens: int
    documents: int
    row_tokens: int
    token_type: str
    padding_best_fit: float | None = None  # share of padding under best_fit, where another packing was asked for


def tokenizer(reading: Reading) -> Tokenizer:
    """From the receipts of ``tokenizer`` and ``tokens``, domains in order of name."""
    facts = reading.fact("tokenizer", TokenizerFacts)
    if facts is None:
        raise CardError(f"{reading.run.path} has no tokenizer yet; `gristmill run` its recipe first")
    tokens: Counter[str] = Counter()
    n_bytes: Counter[str] = Counter()
    for part in reading.facts("tokens", TokensFacts):
        tokens.update(part.tokens)
        n_bytes.update(part.bytes)
    left_out = Counter[str]()
    for stage in ("shards", "heldout"):
        rows = _packed_facts(reading, stage)
        left_out.update({name: one.get("tokens_without_targets", 0) for name, one in rows.items()})
    encoded = tuple(EncodedDomain(name, n_bytes[name], tokens[name], left_out[name]) for name in sorted(n_bytes))
    return Tokenizer(
        vocab_size=facts.vocab_size,
        sample_bytes=facts.sample_bytes,
        bytes_per_token=facts.bytes_per_token,
        encoded=encoded,
        model=facts.model,
        trained=facts.trained,
        end=facts.end,
        texts=_texts(reading),
        unused=_unused(reading, facts.vocab_size),
        dropped=_counted(reading, "dropped"),
        rearranged=_counted(reading, "rearranged"),
        compared=_compared(reading),
    )


def _counted(reading: Reading, fact: str) -> Mapping[str, int]:
    """Counts of all parts under each name."""
    found: Counter[str] = Counter()
    for part in reading.facts("tokens", TokensFacts):
        found.update(getattr(part, fact))
    return dict(sorted(found.items()))


def _texts(reading: Reading) -> tuple[TextCounts, ...]:
    """Counts of all parts by domain and language, in order."""
    total: dict[tuple[str, str], TextCounts] = {}
    for part in reading.facts("tokens", TokensFacts):
        for one in part.counts:
            before = total.get((one.domain, one.lang))
            total[one.domain, one.lang] = one if before is None else before + one
    return tuple(one for _, one in sorted(total.items()))


def _compared(reading: Reading) -> tuple[ComparedTokenizer, ...]:
    counted = reading.facts(COMPARISON.name, ComparedFacts)
    if not counted:
        return ()
    from gristmill.tokenizer.compared_tokens import ENTRIES, used_entries

    found = []
    for one, path in zip(counted, reading.tables(COMPARISON.name, ENTRIES), strict=True):
        used, size = used_entries(path), one.vocab_size
        by_domain, by_language = (
            {name: size - n for name, n in table.items()} for table in (used.by_domain, used.by_language)
        )
        unused = size - used.everywhere
        found.append(ComparedTokenizer(one.name, one.sha256, size, one.counts, unused, by_domain, by_language))
    return tuple(found)


def _unused(reading: Reading, vocab_size: int) -> Mapping[str, int]:
    from gristmill.tokenizer.text_counts import USES, unused_tokens

    paths = [path for path in reading.tables("tokens", USES) if path.exists()]  # version 1 of the stage has none
    return unused_tokens(paths, vocab_size) if paths else {}


class HandedOver(NamedTuple):
    """The parts of a card that say what a trainer is handed."""

    tokenizer: Tokenizer
    rows: RowShape
    shards: Mapping[str, tuple[Shard, ...]]
    shards_by_domain: Mapping[str, Packed]
    heldout: Mapping[str, tuple[Shard, ...]]
    heldout_by_domain: Mapping[str, Packed]


def handed_over(reading: Reading) -> HandedOver:
    """Tokenizer, and rows to train on and held out."""
    return HandedOver(
        tokenizer=tokenizer(reading),
        rows=row_shape(reading),
        shards=shards(reading, "shards"),
        shards_by_domain=packed(reading, "shards"),
        heldout=shards(reading, "heldout"),
        heldout_by_domain=packed(reading, "heldout"),
    )


def row_shape(reading: Reading) -> RowShape:
    """From the recipe."""
    stated = reading.recipe["shards"]  # of version 0.1.0 without packing
    return RowShape(**{field.name: stated[field.name] for field in fields(RowShape) if field.name in stated})


def shards(reading: Reading, stage: str) -> dict[str, tuple[Shard, ...]]:
    """Files by domain; ``stage`` is shards or heldout."""
    return {
        domain: tuple(Shard(*(file[field.name] for field in fields(Shard))) for file in index["shards"])
        for domain, index in indexes(reading, stage).items()
    }


def packed(reading: Reading, stage: str) -> dict[str, Packed]:
    """Rows, tokens and documents by domain; ``stage`` is shards or heldout."""
    facts = _packed_facts(reading, stage)
    return {
        domain: Packed(
            *(index[field.name] for field in fields(Packed) if field.name in index),
            padding_best_fit=facts.get(domain, {}).get("padding_best_fit"),
        )
        for domain, index in indexes(reading, stage).items()
    }


def _packed_facts(reading: Reading, stage: str) -> dict[str, Mapping[str, Any]]:
    """``ShardsFacts`` by domain: the stage has a part for each domain of the sources, in order of name."""
    domains = sorted({source["domain"] for source in reading.recipe["sources"]})
    parts = reading.manifest(stage).parts if reading.has(stage) else ()
    return {domain: part.facts for domain, part in zip(domains, parts, strict=False)}


def indexes(reading: Reading, stage: str) -> dict[str, Mapping[str, Any]]:
    """index.json of each domain's folder in the run."""
    folders = sorted((reading.run.path / stage).iterdir()) if reading.has(stage) else []
    return {folder.name: read_json(folder / "index.json") for folder in folders}
