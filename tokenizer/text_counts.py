"""What a tokenizer comes to on the kept text: tokens, words and bytes by domain and language; which tokens it uses."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.tables import read_part
from gristmill.corpus.text.columns import text_column
from gristmill.corpus.whole_columns import coded
from gristmill.tokenizer import _kernels_spelling
from gristmill.tokenizer.patterns import character_classes
from gristmill.tokenizer.reference_encoder import Tokens
from gristmill.tokenizer.stage import TextCounts

USES = "token_uses.parquet"
USES_SCHEMA = pa.schema(
    [
        pa.field("domain", pa.string(), False),
        pa.field("token", pa.uint32(), False),
        pa.field("uses", pa.int64(), False),  # in kept text, held-out documents among it; only tokens that occur
    ]
)
_UNITS = ("documents", "bytes", "characters", "words", "tokens", "changed")


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts of a batch, their tokens, where each belongs, and whether it comes back when its tokens are decoded."""

    texts: pa.LargeStringArray
    tokens: Tokens
    domains: pa.StringArray
    languages: pa.StringArray  # null where none is known
    comes_back: np.ndarray  # bool [n_docs]


class TextCounter:
    """Counts of the batches of a part."""

    def __init__(self, n_tokens: int, end_tokens: int = 1):
        """``end_tokens`` of each document are no text."""
        self._end_tokens = end_tokens
        self._counts: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(len(_UNITS), np.int64))
        self._uses: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(n_tokens, np.int64))

    def add(self, batch: Encoded) -> None:
        """Count a batch."""
        if not len(batch.texts):
            return
        columns = _measured(batch, self._end_tokens)
        groups = pa.table({"domain": batch.domains, "lang": batch.languages.fill_null(""), **columns})
        sums = groups.group_by(["domain", "lang"]).aggregate([(unit, "sum") for unit in _UNITS])
        for row in sums.to_pylist():
            self._counts[row["domain"], row["lang"]] += [row[f"{unit}_sum"] for unit in _UNITS]
        owner = np.repeat(np.arange(len(batch.texts)), np.diff(batch.tokens.offsets))
        coded = batch.domains.dictionary_encode()
        numbers = coded.indices.to_numpy()[owner]
        for number, domain in enumerate(coded.dictionary.to_pylist()):
            uses = self._uses[domain]
            uses += np.bincount(batch.tokens.ids[numbers == number], minlength=len(uses))

    def counts(self) -> tuple[TextCounts, ...]:
        """By domain and language, in order."""
        return tuple(TextCounts(*key, *map(int, values)) for key, values in sorted(self._counts.items()))

    def write_uses(self, path: Path) -> None:
        """Write the tokens that each domain uses (``USES_SCHEMA``)."""
        tables = [USES_SCHEMA.empty_table()]
        for domain, uses in sorted(self._uses.items()):
            used = np.flatnonzero(uses)
            columns = [pa.repeat(domain, len(used)), pa.array(used, pa.uint32()), pa.array(uses[used])]
            tables.append(pa.table(columns, schema=USES_SCHEMA))
        pq.write_table(pa.concat_tables(tables), path, compression="zstd", compression_level=1)


def _measured(batch: Encoded, end_tokens: int) -> dict[str, np.ndarray]:
    n = len(batch.texts)
    characters, words = np.zeros(n, np.int64), np.zeros(n, np.int64)
    column = text_column(pa.record_batch({"text": batch.texts}))
    _kernels_spelling.count_words(*column, character_classes(), characters, words)
    return {
        "documents": np.ones(n, np.int64),
        "bytes": pc.binary_length(batch.texts).to_numpy(),
        "characters": characters,
        "words": words,
        "tokens": np.diff(batch.tokens.offsets) - end_tokens,
        "changed": (~batch.comes_back).astype(np.int64),
    }


def unused_tokens(paths: Iterable[Path], n_tokens: int) -> Mapping[str, int]:
    """How many of ``n_tokens`` no document of a domain uses; under "" those that none at all uses.

    Parameters
    ----------
    paths : ``USES`` of every part
    """
    used: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(n_tokens, bool))
    everywhere = used[""]
    for path in paths:
        table = read_part(path, ["domain", "token"])
        for domain in pc.unique(table["domain"]).to_pylist():
            tokens = table["token"].filter(pc.equal(table["domain"], domain)).to_numpy()
            used[domain][tokens] = everywhere[tokens] = True
    return {domain: int(n_tokens - found.sum()) for domain, found in sorted(used.items())}


def sum_by(names: pa.StringArray | pa.ChunkedArray, values: np.ndarray) -> dict[str, int]:
    """Sum of ``values`` int64 [n] for each distinct name.

    >>> sum_by(pa.array(["a", "b", "a"]), np.array([1, 2, 3]))
    {'a': 4, 'b': 2}
    """
    numbers = coded(names)
    total = np.zeros(len(numbers.dictionary), np.int64)
    np.add.at(total, numbers.indices.to_numpy(), values)
    return dict(zip(numbers.dictionary.to_pylist(), total.tolist(), strict=True))
