"""One domain's documents to rows of one length, in shards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.corpus.account import passed_on
from gristmill.corpus.errors import RecipeError, nearest
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import ROW_DOCUMENT
from gristmill.corpus.stage import load
from gristmill.handoff.shards import ShardWriter
from gristmill.tokenizer import _kernels
from gristmill.tokenizer.domain_tokens import DomainTokens, gather_domain
from gristmill.tokenizer.packings import Packing, best_fit
from gristmill.tokenizer.row_targets import RowTargets, rows_with_targets, targets_in_rows
from gristmill.tokenizer.stage import PACKINGS, ShardsFacts
from gristmill.tokenizer.text_counts import sum_by

WINDOW_DOCUMENTS = 1 << 18  # packed together; more of them fill rows no better (padding 0.002 % at 100,000)
BEST = "best_fit"
WRITE_BYTES = 8 << 20  # rows filled at a time


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are laid out: tokens in a row, rows in a shard, rows in a record batch, a name in ``PACKINGS``.

    ``pad_id`` fills what no document does.

    Raises
    ------
    RecipeError : a number is below 1, or the packing is unknown
    """

    row_tokens: int
    shard_rows: int
    batch_rows: int
    packing: str = "best_fit"
    pad_id: int = 1

    def __post_init__(self):
        for name in ("row_tokens", "shard_rows", "batch_rows"):
            if getattr(self, name) < 1:
                raise RecipeError(f"shards.{name} is {getattr(self, name)}; expected 1 or more")
        if self.packing not in PACKINGS:
            raise RecipeError(f"shards.packing: unknown packing {self.packing!r}{nearest(self.packing, PACKINGS)}")


def pack_domain(
    tokens: Sequence[Path],
    folder: Path,
    *,
    domain: str,
    heldout: bool,
    vocab_size: int,
    layout: Layout,
) -> Outcome:
    """Write one domain's documents of all parts as packed rows: shards and index (``handoff.shards``) in ``folder``.

    Documents are taken in order of doc_id, so the rows do not depend on how the corpus was cut into parts. They are
    packed in windows of 262,144 documents. Rows in which no token counts as a target are left out, and counted.
    Within a window long pieces come first: a trainer reads rows by a plan,
    which shuffles them. Memory: about 100 bytes a document of the domain, 100 a piece of one window,
    and 8 MiB of rows; the tokens lie in an unnamed file in ``folder`` meanwhile. 10 to 50 M tokens a CPU second.

    Parameters
    ----------
    tokens : tokens.parquet of every part
    heldout : pack the held-out documents, or the others

    Returns
    -------
    Outcome : rows; accounts by source, bytes of tokens; facts: ``ShardsFacts``

    Raises
    ------
    SchemaError : a part's ids do not fit ``vocab_size``
    """
    with gather_domain(tokens, folder, domain, heldout, vocab_size) as gathered:
        return pack_gathered(gathered, [gathered], folder, vocab_size=vocab_size, layout=layout)


def pack_gathered(
    gathered: DomainTokens,
    parts: Sequence[DomainTokens],
    folder: Path,
    *,
    vocab_size: int,
    layout: Layout,
    buckets: Sequence[Mapping[str, Any]] = (),
) -> Outcome:
    """Write a domain's documents, cut into ``parts``, each part in rows of its own; see ``pack_domain``.

    Parameters
    ----------
    buckets : what each part is, for the index; empty: rows have no buckets
    """
    counts = _Counts(layout)
    writer = ShardWriter(
        folder,
        row_tokens=layout.row_tokens,
        vocab_size=vocab_size,
        shard_rows=layout.shard_rows,
        batch_rows=layout.batch_rows,
        targets=gathered.targets is not None,
    )
    with writer.with_buckets(buckets):
        for number, part in enumerate(parts):
            bucket = number if buckets else None
            for first in range(0, len(part), WINDOW_DOCUMENTS):
                window = part.window(first, WINDOW_DOCUMENTS)
                for block in _row_blocks(window, *_packed(window, layout, counts), layout):
                    writer.write(*block, bucket=bucket)
    return counts.outcome(gathered)


def _packed(window: DomainTokens, layout: Layout, counts: "_Counts") -> tuple[Packing, RowTargets | None]:
    """Rows of a window, without those in which nothing counts."""
    packing, targets = load(PACKINGS[layout.packing])(window.lengths, layout.row_tokens), None
    whole = packing
    if window.targets is not None:
        packing, targets = rows_with_targets(packing, targets_in_rows(packing, window.targets))
    counts.add(window, whole, packing)
    return packing, targets


def _row_blocks(
    window: DomainTokens, packing: Packing, targets: RowTargets | None, layout: Layout
) -> Iterator[tuple[np.ndarray, pa.ListArray, pa.ListArray | None]]:
    """Rows, their documents and their targets, about WRITE_BYTES of rows at a time."""
    row_tokens = layout.row_tokens
    step = max(1, WRITE_BYTES // (row_tokens * window.ids.itemsize))
    for first in range(0, packing.rows, step):
        n_rows = min(step, packing.rows - first)
        bounds = np.searchsorted(packing.row, np.arange(first, first + n_rows + 1))
        document, offset, length, row, start = (column[bounds[0] : bounds[-1]] for column in packing[:5])
        tokens = np.full((n_rows, row_tokens), layout.pad_id, window.ids.dtype)
        _kernels.copy_pieces(window.ids, window.begins[document] + offset, length, row - first, start, tokens)
        doc_ids = window.doc_ids.take(pa.array(document)).cast(pa.string())
        fields = [doc_ids, *(pa.array(values) for values in (start, length, offset))]
        columns = [column.cast(field.type) for column, field in zip(fields, ROW_DOCUMENT, strict=True)]
        structs = pa.StructArray.from_arrays(columns, fields=list(ROW_DOCUMENT))
        lists = pa.ListArray.from_arrays(pa.array((bounds - bounds[0]).astype(np.int32)), structs)
        yield tokens, lists, targets and targets.of(first, n_rows)


class _Counts:
    """Rows so far, and what other rows would have come to."""

    def __init__(self, layout: Layout):
        self._layout = layout
        self._rows = self._best_rows = self._rows_left_out = self._tokens_left_out = 0

    def add(self, window: DomainTokens, whole: Packing, packing: Packing) -> None:
        best = whole if self._layout.packing == BEST else best_fit(window.lengths, self._layout.row_tokens)
        self._rows += packing.rows
        self._best_rows += best.rows
        self._rows_left_out += whole.rows - packing.rows
        self._tokens_left_out += int(whole.length.sum() - packing.length.sum())

    def outcome(self, gathered: DomainTokens) -> Outcome:
        n_tokens, row_tokens = int(gathered.lengths.sum()), self._layout.row_tokens
        outcome = packed_outcome(gathered, self._rows, row_tokens, n_tokens - self._tokens_left_out)
        best = None if self._layout.packing == BEST else _padding(n_tokens, self._best_rows, row_tokens)
        more = {"packing": self._layout.packing, "padding_best_fit": best, "rows_without_targets": self._rows_left_out}
        return replace(outcome, facts={**outcome.facts, **more})


def packed_outcome(gathered: DomainTokens, rows: int, row_tokens: int, n_tokens: int | None = None) -> Outcome:
    """What a domain's documents, packed into ``rows`` rows, are in figures; facts: ``ShardsFacts``.

    ``n_tokens`` stand in the rows, all of the documents' when None; the others have no target beside them.
    """
    lengths = gathered.lengths
    documents = sum_by(gathered.sources, np.ones(len(lengths), np.int64))
    n_bytes = sum_by(gathered.sources, lengths * gathered.ids.itemsize)
    total = int(lengths.sum())
    n_tokens = total if n_tokens is None else n_tokens
    facts = ShardsFacts(
        rows=rows,
        documents=len(lengths),
        tokens=n_tokens,
        padding=_padding(n_tokens, rows, row_tokens),
        cut_documents=int((lengths > row_tokens).sum()),
        tokens_without_targets=total - n_tokens,
    )
    accounts = {name: passed_on(documents[name], n_bytes[name]) for name in sorted(documents)}
    return Outcome(rows, accounts, asdict(facts))


def _padding(n_tokens: int, rows: int, row_tokens: int) -> float:
    return round(1 - n_tokens / (rows * row_tokens), 6) if rows else 0.0
