"""Language and script of a document: fastText's lid.176 on a bounded beginning of its text, and on some paragraphs.

The model takes about 200 ns a byte, so whole documents would cost more than all other signals: it sees ``max_bytes`` of
each and, of those with several paragraphs, ``max_paragraphs`` beginnings. Scripts are counted over the whole text.

What has no letters, or few, gets no language: the model calls digits Italian at 0.91 and emoji Hungarian at 0.93.
"""

import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import SourceError
from gristmill.corpus.schema import signals_schema
from gristmill.corpus.stage import Measured
from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.filters.models._kernels_scripts import find_windows, list_paragraphs, measure_stretches
from gristmill.filters.models.scripts import script_columns
from gristmill.filters.models.shipped import LANGUAGE_MODEL
from gristmill.filters.models.stage import LANGUAGE, Language, LanguageFacts

UNKNOWN = "und"
_LOADING = threading.Lock()
MAX_BYTES = (
    2048  # on 1,500 documents over 4 KB: 75.3% as labelled against 75.5% for whole texts, at a sixth of the time
)
MAX_PARAGRAPHS = 8
PARAGRAPH_BYTES = 256  # of each paragraph the model sees this much
MIN_PARAGRAPH_BYTES = 64  # headings are guessed at: right on 68% of shorter sentences, on 90% beyond 192 (75 languages)
MIN_LETTER_SHARE = 0.2  # of the characters that show: of 68,000 real texts outside code and tables none has less
SCHEMA = signals_schema(LANGUAGE.signals, LANGUAGE.labels)


def load_model(path: Path, key: str = "language.model") -> Any:
    """A fastText classifier from a file, loaded once a process and warm; ``key`` is the recipe key an error names.

    One thread at a time, first prediction included: fastText's binding sets itself up inside that call, and two
    threads that do it at once wait for each other for ever (seen: one holds the GIL, the other the C++ guard).

    Raises
    ------
    SourceError : the file is missing or no fastText model
    """
    with _LOADING:
        return _load(path, key)


@lru_cache(maxsize=8)
def _load(path: Path, key: str) -> Any:
    import fasttext

    fasttext.FastText.eprint = lambda *_: None  # it warns at every load about an interface that we do not use
    if not path.is_file():
        hint = ", or leave the key out for the model that comes with the mill" if key == "language.model" else ""
        raise SourceError(f"no model at {path}; set {key}{hint}")
    try:
        model = fasttext.load_model(str(path))
    except ValueError as error:
        raise SourceError(f"{path} is not a fastText model ({error}); set {key}") from None
    model.predict(["warm"])
    return model


def identify(
    batch: pa.RecordBatch, model: Any, max_bytes: int = MAX_BYTES, max_paragraphs: int = MAX_PARAGRAPHS
) -> pa.RecordBatch:
    """Language and scripts of each document.

    Parameters
    ----------
    batch : doc_id and text, n_docs rows
    model : from ``load_model``
    max_bytes : the model sees this much from the beginning of a document, cut between characters; white space in
        front does not count, and a run of it inside is one byte
    max_paragraphs : of a document with several, this many are identified too, evenly spread; 0 for none

    Returns
    -------
    RecordBatch of ``SCHEMA``: lang_id, an ISO code as the model has it, and lang_score, 0 to 1 (``und`` and 0 where
    letters are fewer than MIN_LETTER_SHARE of what shows); lang_paragraph_share, bytes in paragraphs of the document's
    own language over bytes in all paragraphs that were identified, 1 where fewer than two were looked at; scripts as
    ``gristmill.filters.models.scripts`` counts them
    """
    text = text_column(batch)
    starts, ends, letters, shown = np.empty((4, text.n_docs), np.int64)
    find_windows(*text, max_bytes, starts, ends, letters, shown)
    languages, scores = _predict(text, _Stretches(starts, ends, letters, shown), model)
    columns = {
        "doc_id": batch.column("doc_id").cast(pa.string()),
        "lang_id": pa.array(languages, pa.string()),
        "lang_score": pa.array(scores),
        "lang_paragraph_share": pa.array(_paragraph_share(text, languages, model, max_paragraphs)),
        **script_columns(text),
    }
    return pa.record_batch([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def prepare(options: Language, files: Mapping[str, tuple[Path, ...]]) -> Any:
    """The language model: the recipe's, or this machine's copy of the one that comes with the mill."""
    return load_model(files["model"][0] if options.model else LANGUAGE_MODEL)


def measure(batch: pa.RecordBatch, options: Language, state: Any) -> Measured:  # noqa: ARG001
    """Language and script of each document; facts count documents by both."""
    found = identify(batch, state)
    counts = [
        {count["values"]: count["counts"] for count in found.column(name).value_counts().to_pylist()}
        for name in ("lang_id", "script_main")
    ]
    columns = {name: found.column(name) for name in SCHEMA.names[1:]}
    return Measured(columns, facts=LanguageFacts(*(dict(sorted(count.items())) for count in counts)))


class _Stretches(NamedTuple):
    """Stretches data[starts:ends] of whole characters, with their letters and characters that show; int64[n] each."""

    starts: np.ndarray
    ends: np.ndarray
    letters: np.ndarray
    shown: np.ndarray


def _predict(text: TextColumn, where: _Stretches, model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Language (object) and score (double) of each stretch; ``und`` and 0 for those with too few letters."""
    texts = _texts(text, where.starts, where.ends)
    labels, scores = model.predict(texts) if texts else ([], [])  # lists only: a single text fails on numpy 2
    has_language = (where.letters > 0) & (where.letters >= MIN_LETTER_SHARE * where.shown)
    names = np.array([label[0].removeprefix("__label__") if len(label) else UNKNOWN for label in labels], object)
    best = np.array([min(float(score[0]), 1.0) if len(score) else 0.0 for score in scores], np.float64)
    return np.where(has_language, names, UNKNOWN), np.where(has_language, best, 0.0)


def _texts(text: TextColumn, starts: np.ndarray, ends: np.ndarray) -> list[str]:
    """Text objects for the model, the one place where text leaves its columns."""
    data = text.data.tobytes()
    return [
        data[start:end].decode().replace("\n", " ") for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def _paragraph_share(text: TextColumn, languages: np.ndarray, model: Any, max_paragraphs: int) -> np.ndarray:
    """double[n_docs]: bytes in paragraphs of the document's language over bytes in all that were identified."""
    docs, starts, ends = _spread(*_paragraphs(text), max_paragraphs, text.n_docs)
    sizes = (ends - starts).astype(np.float64)
    letters, shown = np.empty((2, docs.size), np.int64)
    measure_stretches(text.data, starts, ends, PARAGRAPH_BYTES, letters, shown)
    found, _ = _predict(text, _Stretches(starts, ends, letters, shown), model)
    sizes[found == UNKNOWN] = 0.0  # tables and rules have no language, so they are in none that is foreign
    same = np.bincount(docs, np.where(found == languages[docs], sizes, 0.0), text.n_docs)
    whole = np.bincount(docs, sizes, text.n_docs)
    return np.divide(same, whole, out=np.ones(text.n_docs), where=whole > 0)


def _paragraphs(text: TextColumn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    places = np.empty((3, text.data.size // MIN_PARAGRAPH_BYTES), np.int64)
    n = list_paragraphs(*text, MIN_PARAGRAPH_BYTES, *places)
    return places[0, :n], places[1, :n], places[2, :n]


def _spread(
    docs: np.ndarray, starts: np.ndarray, ends: np.ndarray, most: int, n_docs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At most ``most`` paragraphs of each document that has two or more, evenly spaced."""
    counts = np.bincount(docs, minlength=n_docs)
    rank = np.arange(len(docs)) - (np.cumsum(counts) - counts)[docs]
    total = counts[docs]
    kept = np.minimum(total, most)
    chosen = ((rank + 1) * kept // np.maximum(total, 1) > rank * kept // np.maximum(total, 1)) & (total >= 2)
    return docs[chosen], starts[chosen], ends[chosen]
