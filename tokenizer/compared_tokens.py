"""The kept text of a part in the tokens of several tokenizers: what each comes to, and which of its entries it uses."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.files import file_sha256
from gristmill.corpus.receipt import Outcome
from gristmill.tokenizer.encoder import CheckedEncoder
from gristmill.tokenizer.kept_text import languages_of_kept
from gristmill.tokenizer.own_tokenizer import take_tokenizer
from gristmill.tokenizer.reference_encoder import Tokens
from gristmill.tokenizer.spelling import RoundTrip
from gristmill.tokenizer.stage import ComparedFacts, ComparisonFacts, Specials, Tokenizer
from gristmill.tokenizer.text_counts import Encoded, TextCounter
from gristmill.tokenizer.tokenizer_json import TOKENIZER

ENTRIES = "entries.parquet"
ENTRIES_SCHEMA = pa.schema(
    [
        pa.field("tokenizer", pa.string(), False),  # "" is the run's own
        pa.field("domain", pa.string(), False),
        pa.field("lang", pa.string(), False),  # "" where none is known
        pa.field("token", pa.uint32(), False),  # only those that occur, each once
    ]
)
PLAIN = Specials(end="")  # no token ends a document, so that every token stands for text


def compare_part(
    documents: Path,
    kept: pa.Table,
    own: Path,
    others: Mapping[str, Path],
    folder: Path,
    *,
    language: Path | None = None,
) -> Outcome:
    """Encode the kept documents of one part with every tokenizer; ``folder/entries.parquet`` says which entries occur.

    Conversations are taken as their bare text, without a chat template, and no middle is moved: all get the same text.

    Parameters
    ----------
    documents, kept, language : as in ``gristmill.tokenizer.encode.encode_part``
    own : tokenizer.json of the run, with tokenizer_config.json beside it
    others : tokenizer.json or SentencePiece model by name; what stands beside it is not looked at

    Returns
    -------
    Outcome : no rows; facts: ``ComparisonFacts``

    Raises
    ------
    SourceError : a file is no tokenizer
    """
    with tempfile.TemporaryDirectory() as scratch:
        compared = [_Compared("", own, own)]
        compared += [_Compared(name, path, _taken(path, Path(scratch) / name)) for name, path in others.items()]
    for batch in languages_of_kept(documents, kept, language):
        for one in compared:
            one.add(batch)
    entries = pa.concat_tables([ENTRIES_SCHEMA.empty_table(), *(table for one in compared for table in one.entries())])
    pq.write_table(entries, folder / ENTRIES, compression="zstd", compression_level=1)
    return Outcome(0, {}, asdict(ComparisonFacts(tuple(one.facts() for one in compared))))


def _taken(path: Path, folder: Path) -> Path:
    folder.mkdir()
    take_tokenizer(path, folder, section=Tokenizer(path=str(path), specials=PLAIN))
    return folder / TOKENIZER


class _Compared:
    """One tokenizer, and what it has come to so far."""

    def __init__(self, name: str, path: Path, readable: Path):
        self._name, self._sha256 = name, file_sha256(path)
        self._encoder = CheckedEncoder(readable)
        self._round_trip = RoundTrip(self._encoder.text)
        self._counter = TextCounter(self._encoder.vocab_size, end_tokens=int(self._encoder.text.end_id is not None))
        self._used: dict[tuple[str, str], np.ndarray] = {}  # bool[vocab_size] by domain and language

    def add(self, batch: pa.RecordBatch) -> None:
        texts = batch["text"]
        tokens = self._encoder.encode(texts)
        holds = self._round_trip.holds(texts, tokens)
        self._counter.add(Encoded(texts, tokens, batch["domain"], batch["known_lang"], holds))
        self._mark(tokens, batch["domain"].dictionary_encode(), batch["known_lang"].fill_null("").dictionary_encode())

    def _mark(self, tokens: Tokens, domains: pa.DictionaryArray, languages: pa.DictionaryArray) -> None:
        size, n_languages = self._encoder.vocab_size, len(languages.dictionary)
        group = domains.indices.to_numpy().astype(np.int64) * n_languages + languages.indices.to_numpy()
        occur = np.unique(np.repeat(group, np.diff(tokens.offsets)) * size + tokens.ids)
        for number in np.unique(occur // size):
            name = domains.dictionary[number // n_languages].as_py(), languages.dictionary[number % n_languages].as_py()
            used = self._used.setdefault(name, np.zeros(size, np.bool_))
            used[occur[occur // size == number] % size] = True

    def facts(self) -> ComparedFacts:
        return ComparedFacts(self._name, self._sha256, self._encoder.vocab_size, self._counter.counts())

    def entries(self) -> Iterator[pa.Table]:
        for (domain, lang), used in sorted(self._used.items()):
            tokens = np.flatnonzero(used)
            named = [pa.repeat(text, len(tokens)) for text in (self._name, domain, lang)]
            yield pa.table([*named, pa.array(tokens, pa.uint32())], schema=ENTRIES_SCHEMA)


@dataclass(frozen=True, slots=True)
class UsedEntries:
    """How many entries of one tokenizer occur: in all kept text, and in that of each domain and language."""

    everywhere: int
    by_domain: Mapping[str, int]
    by_language: Mapping[str, int]


def used_entries(paths: Iterable[Path]) -> dict[str, UsedEntries]:
    """By tokenizer.

    Parameters
    ----------
    paths : ``ENTRIES`` of every part
    """
    table = pa.concat_tables([ENTRIES_SCHEMA.empty_table(), *map(pq.read_table, paths)])
    return {
        name: UsedEntries(pc.count_distinct(own["token"]).as_py(), _distinct(own, "domain"), _distinct(own, "lang"))
        for name in pc.unique(table["tokenizer"]).to_pylist()
        for own in [table.filter(pc.equal(table["tokenizer"], name))]
    }


def _distinct(table: pa.Table, column: str) -> dict[str, int]:
    counted = table.group_by(column).aggregate([("token", "count_distinct")])
    return dict(sorted(zip(counted[column].to_pylist(), counted["token_count_distinct"].to_pylist(), strict=True)))
