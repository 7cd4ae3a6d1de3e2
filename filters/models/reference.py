"""Cross-entropy against a reference: how surprising a document is to a character n-gram model of text one calls good.

Two signals a reference NAME. ``cross_entropy_NAME``, bits per character, sees noise, broken encodings, cut words and
languages that the reference does not hold. ``word_order_NAME``, bits per word, is what the words before a word save on
it: the same word charged within itself and charged in its place. Both sides are one document's, so that its language,
topic and length drop out; it falls towards 0 where words stand in no order.

A text in a language that the reference lacks is as surprising as noise: bound these signals where the reference's
languages are, or fit one on all of them. The first characters of a text have little before them: below some 200
characters the figures scatter. Words are split at white space, so that word order says little of Chinese or Thai.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import SourceError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.seeds import fraction
from gristmill.corpus.stage import Measured
from gristmill.corpus.text.columns import text_column
from gristmill.filters.models._kernels_ngrams import BLOCK, MAX_ORDER, fill_table, score
from gristmill.filters.models.examples import read_texts
from gristmill.filters.models.ngrams import Model, fit_model
from gristmill.filters.models.stage import Reference as ReferenceSpec
from gristmill.filters.models.stage import ReferenceFacts, ReferenceModelFacts, Spread, reference_signals

FILE = "reference.parquet"
MAX_CHARS = 20_000  # of a text to fit on, so that no long book outweighs all others
HELDOUT = 0.1
_FORMAT = b"gristmill character n-grams 1"
_COLUMNS = pa.schema([("key", pa.uint64()), ("bits", pa.uint16()), ("backoff", pa.uint16())])


@dataclass(frozen=True, slots=True)
class Reference:
    """A model as its table."""

    table: np.ndarray  # uint64[slots], see filters._kernels_ngrams
    unseen: int
    order: int


def fit_reference(
    folder: Path, *, texts: Sequence[Path], order: int = 6, sample_bytes: int = 8 << 20, seed: int = 0
) -> Outcome:
    """Fit a reference: ``folder/reference.parquet``.

    Parameters
    ----------
    texts : Parquet or JSON lines (.gz, .zst too) with a ``text`` column
    order : characters of the longest n-gram, 1 to 8
    sample_bytes : a keyed sample of at most as many bytes of text, MAX_CHARS of each; a tenth of it is held out
    seed : the recipe's seed, for the sample

    Returns
    -------
    Outcome: rows = texts in the sample; facts: texts fitted on and held out, n-grams, order, and of each signal on the
    held-out ones median, mad (both None without any) and p95, so that bounds can be chosen

    Raises
    ------
    SourceError : a file is missing, has no such column or no text

    Cost
    ----
    See ``fit_model``; beside it one hash of each text in Python, to draw the sample.
    """
    fitted, heldout = _sample(read_texts(texts), sample_bytes, seed)
    model = fit_model(fitted, order)
    save_model(model, folder / FILE)
    spreads = [_spread(found) for found in score_texts(heldout, as_reference(model)).T]
    facts = ReferenceModelFacts(len(fitted), len(heldout), len(model.keys), order, *spreads)
    return Outcome(len(fitted) + len(heldout), {}, asdict(facts))


def prepare(options: ReferenceSpec, files: Mapping[str, tuple[Path, ...]]) -> tuple[Reference, str]:  # noqa: ARG001
    """The reference and its sha256.

    Raises
    ------
    SourceError : no reference, or a file that is none
    """
    return load_reference(files["model"][0]), file_sha256(files["model"][0])


def measure(batch: pa.RecordBatch, options: ReferenceSpec, state: tuple[Reference, str]) -> Measured:
    """Bits per character, and bits per word that word order saves, under the reference."""
    model, sha256 = state
    names = [signal.name for signal in reference_signals(options)]
    columns = score_texts(batch.column("text"), model).T
    arrays = {name: pa.array(column) for name, column in zip(names, columns, strict=True)}
    return Measured(arrays, facts=ReferenceFacts(sha256))


def score_texts(texts: pa.Array | pa.ChunkedArray, reference: Reference) -> np.ndarray:
    """double[n_texts, 2]: bits per character (runs of white space are one), and bits per word that word order saves.

    0 for an empty text, and of word order for one of fewer than two words.
    """
    text = text_column(pa.table({"text": texts}))
    rows, out = reference.order + 1, np.empty((text.n_docs, 2))
    symbols = np.empty(int(np.diff(text.offsets).max(initial=0)) + 1, np.uint32)
    hashes, entries = np.zeros((2, rows, BLOCK + 1), np.uint64)
    sums, known = np.zeros((rows, BLOCK + 1), np.int64), np.zeros(BLOCK + 1, np.int64)
    scratch = (symbols, np.empty(BLOCK, np.uint64), hashes, entries, sums, known, np.zeros(3, np.int64))
    score(*text, reference.table, _shift(reference.table), reference.unseen, *scratch, out)
    return out


def save_model(model: Model, path: Path) -> None:
    """Write a model as Parquet: columns key, bits, backoff; format, order and unseen in the schema."""
    facts = {b"format": _FORMAT, b"order": b"%d" % model.order, b"unseen": b"%d" % model.unseen}
    arrays = [pa.array(values) for values in (model.keys, model.bits, model.backoffs)]
    pq.write_table(pa.table(arrays, _COLUMNS.with_metadata(facts)), path, compression="zstd", compression_level=1)


@lru_cache(maxsize=8)
def load_reference(path: Path) -> Reference:
    """A reference from a file, read once a process.

    Raises
    ------
    SourceError : the file is missing or no reference
    """
    if not path.is_file():
        raise SourceError(f"no reference at {path}; set references.model, or references.texts to fit one")
    try:
        table = pq.read_table(path)
        facts = table.schema.metadata or {}
        order, unseen = int(facts.get(b"order", b"0")), int(facts.get(b"unseen", b"0"))
    except (pa.ArrowInvalid, ValueError) as error:
        raise SourceError(f"{path} is no reference ({error}); set references.model") from None
    right = table.schema.remove_metadata() == _COLUMNS and 1 <= order <= MAX_ORDER and 0 < unseen < 1 << 16
    if not right or facts.get(b"format") != _FORMAT or any(column.null_count for column in table.columns):
        raise SourceError(f"{path} is no reference that this version reads; set references.model, or fit it again")
    keys, bits, backoffs = (column.to_numpy() for column in table.columns)
    return as_reference(Model(keys, np.maximum(bits, 1), backoffs, unseen, order))


def as_reference(model: Model) -> Reference:
    """The model's table, at most half full."""
    table = np.zeros(1 << (2 * len(model.keys)).bit_length(), np.uint64)
    fill_table(model.keys, model.bits, model.backoffs, _shift(table), table)
    return Reference(table, model.unseen, model.order)


def _shift(table: np.ndarray) -> np.uint64:
    return np.uint64(65 - len(table).bit_length())


def _sample(texts: pa.ChunkedArray, sample_bytes: int, seed: int) -> tuple[pa.Array, pa.Array]:
    """Texts to fit on and held-out ones: in the order of a hash of each, until the bytes are used up."""
    short = pc.utf8_slice_codeunits(texts, 0, MAX_CHARS).combine_chunks()
    places = np.array([fraction(text, seed, "reference") for text in short.to_pylist()])
    order = np.argsort(places, kind="stable")
    sizes = np.cumsum(pc.binary_length(short).to_numpy()[order])
    chosen = order[: max(1, int(np.searchsorted(sizes, sample_bytes, "right")))]
    held = np.array([fraction(f"{place:.17f}", seed, "heldout") < HELDOUT for place in places[chosen]])
    held[0] = False
    return short.take(pa.array(chosen[~held])), short.take(pa.array(chosen[held]))


def _spread(values: np.ndarray) -> Spread:
    if not len(values):
        return Spread(None, None, None, None)
    median = float(np.median(values))
    low, high = (float(found) for found in np.quantile(values, (0.05, 0.95)))
    figures = (median, float(np.median(np.abs(values - median))), low, high)
    return Spread(*(round(figure, 4) for figure in figures))
