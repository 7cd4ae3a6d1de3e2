"""All kept text in the tokens of one tokenizer: what it comes to by domain and language, and which entries it uses."""

import tempfile
from collections.abc import Mapping, Sequence
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
from gristmill.tokenizer.stage import ComparedFacts, Specials, Tokenizer
from gristmill.tokenizer.text_counts import Encoded, TextCounter
from gristmill.tokenizer.tokenizer_json import TOKENIZER

ENTRIES = "entries.parquet"
ENTRIES_SCHEMA = pa.schema(
    [
        pa.field("domain", pa.string(), False),
        pa.field("lang", pa.string(), False),  # "" where none is known
        pa.field("token", pa.uint32(), False),  # only those that occur, each once
    ]
)
PLAIN = Specials(end="")  # no token ends a document, so that every token stands for text


def compare_tokens(
    parts: Sequence[tuple[Path, pa.Table, Path | None]], tokenizer: Path, folder: Path, *, name: str
) -> Outcome:
    """Encode the kept documents of all parts and count; ``folder/entries.parquet`` says which entries occur.

    Conversations are taken as their bare text, without a chat template, and no middle is moved: any tokenizer gets the
    same text. All parts in one call, since reading a published file of 150,000 tokens costs some CPU seconds.

    Parameters
    ----------
    parts : documents, kept and language of each, as in ``gristmill.tokenizer.encode.encode_part``
    tokenizer : of the run, with tokenizer_config.json beside it, where ``name`` is ""; else any tokenizer.json or
        SentencePiece model, and what stands beside it is not looked at

    Returns
    -------
    Outcome : no rows; facts: ``ComparedFacts``

    Raises
    ------
    SourceError : the file is no tokenizer
    """
    with tempfile.TemporaryDirectory() as scratch:
        encoder = CheckedEncoder(_taken(tokenizer, Path(scratch)) if name else tokenizer)
    counted = _Counted(encoder)
    for documents, kept, language in parts:
        for batch in languages_of_kept(documents, kept, language):
            counted.add(batch)
    pq.write_table(counted.entries(), folder / ENTRIES, compression="zstd", compression_level=1)
    facts = ComparedFacts(name, file_sha256(tokenizer), encoder.vocab_size, counted.text.counts())
    return Outcome(0, {}, asdict(facts))


def _taken(path: Path, folder: Path) -> Path:
    take_tokenizer(path, folder, section=Tokenizer(path=str(path), specials=PLAIN))
    return folder / TOKENIZER


class _Counted:
    """What a tokenizer has come to so far."""

    def __init__(self, encoder: CheckedEncoder):
        self.text = TextCounter(encoder.vocab_size, end_tokens=int(encoder.text.end_id is not None))
        self._encoder, self._round_trip = encoder, RoundTrip(encoder.text)
        self._used: dict[tuple[str, str], np.ndarray] = {}  # bool[vocab_size] by domain and language

    def add(self, batch: pa.RecordBatch) -> None:
        texts = batch["text"]
        tokens = self._encoder.encode(texts)
        holds = self._round_trip.holds(texts, tokens)
        self.text.add(Encoded(texts, tokens, batch["domain"], batch["known_lang"], holds))
        self._mark(tokens, batch["domain"].dictionary_encode(), batch["known_lang"].fill_null("").dictionary_encode())

    def _mark(self, tokens: Tokens, domains: pa.DictionaryArray, languages: pa.DictionaryArray) -> None:
        size, n_languages = self._encoder.vocab_size, len(languages.dictionary)
        group = domains.indices.to_numpy().astype(np.int64) * n_languages + languages.indices.to_numpy()
        occur = np.unique(np.repeat(group, np.diff(tokens.offsets)) * size + tokens.ids)
        for number in np.unique(occur // size):
            name = domains.dictionary[number // n_languages].as_py(), languages.dictionary[number % n_languages].as_py()
            used = self._used.setdefault(name, np.zeros(size, np.bool_))
            used[occur[occur // size == number] % size] = True

    def entries(self) -> pa.Table:
        tables = [ENTRIES_SCHEMA.empty_table()]
        for (domain, lang), used in sorted(self._used.items()):
            tokens = np.flatnonzero(used)
            columns = [pa.repeat(domain, len(tokens)), pa.repeat(lang, len(tokens)), pa.array(tokens, pa.uint32())]
            tables.append(pa.table(columns, schema=ENTRIES_SCHEMA))
        return pa.concat_tables(tables)


@dataclass(frozen=True, slots=True)
class UsedEntries:
    """How many entries of one tokenizer occur: in all kept text, and in that of each domain and language."""

    everywhere: int
    by_domain: Mapping[str, int]
    by_language: Mapping[str, int]


def used_entries(path: Path) -> UsedEntries:
    """From ``ENTRIES`` of one tokenizer."""
    table = pq.read_table(path)
    return UsedEntries(pc.count_distinct(table["token"]).as_py(), _distinct(table, "domain"), _distinct(table, "lang"))


def _distinct(table: pa.Table, column: str) -> dict[str, int]:
    counted = table.group_by(column).aggregate([("token", "count_distinct")])
    return dict(sorted(zip(counted[column].to_pylist(), counted["token_count_distinct"].to_pylist(), strict=True)))
