"""Personal data and secrets: found by form and checksum in one pass, then counted, masked or held against a document.

A name, a street or a date has no form, so none is found here. What is claimed, and the rule of each kind:

email  ``name@host.tld`` in ASCII, the last label two letters or more
ipv4   dotted quad without leading zeros, not in a special block of RFC 6890; a part is 32 or more
ipv6   eight groups, or ``::`` in 2000::/3; not documentation, local or multicast
card   12 to 19 digits in one run, 4 4 4 4 or 4 6 5; scheme, its length, Luhn check
iban   length of the country, solid or in groups of four, mod 97
phone  ``+`` and a country code; North American; a trunk 0 and groups, also (02) 1234 5678; any of 7 to 15 digits that a
       word announces (phone, tel, mobile, fax, desk, call me on, contact us at ...) or names behind it (-Fax, office);
       an extension (x123, ext. 123) belongs to it. A bare local number is left alone: nothing tells it from others
key    AWS, GitHub, GitLab, Slack, Google, npm, Hugging Face tokens and ``sk-``; private key blocks; a random value
       that is assigned to a key, token, secret or password
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.account import Account, add_up
from gristmill.corpus.errors import RecipeError, UnknownNameError
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import SPANS, signals_schema
from gristmill.corpus.source_accounts import passed_by_source
from gristmill.corpus.span_tables import spans_batch
from gristmill.corpus.tables import PartWriter, read_batches
from gristmill.corpus.text.columns import text_column
from gristmill.filters.pii import _kernels as _kernels_pii
from gristmill.filters.signals.measure import Signal

VERSION = "2"
KINDS = ("email", "ipv4", "ipv6", "card", "iban", "phone", "key")  # in the order of _kernels_pii
ACTIONS = ("mask", "drop", "count")
_BYTES_A_FIND = 64  # room for one in so many bytes, mapped only where finds reach; a second pass halves the rate
_MARKERS = {"ipv4": "IP_ADDRESS", "ipv6": "IP_ADDRESS", "key": "SECRET"}
_REASONS = [f"mask:{_MARKERS.get(kind, kind.upper())}" for kind in KINDS]
PII_SIGNALS = {
    signal.name: signal
    for signal in (
        *(Signal(f"pii_{kind}", "finds", f"personal data of the kind {kind}", "filters.pii") for kind in KINDS),
        Signal("pii_total", "finds", "personal data of all kinds that were looked for", "filters.pii"),
        Signal("pii_drop", "finds", "personal data of kinds that the recipe drops documents for", "filters.pii"),
    )
}
SCHEMA = signals_schema({name: signal.unit for name, signal in PII_SIGNALS.items()})


def find(batch: pa.RecordBatch, kinds: tuple[str, ...] = KINDS) -> np.ndarray:
    """Personal data in a batch.

    Parameters
    ----------
    batch : ``text``, n_docs rows, no nulls, valid UTF-8
    kinds : which of ``KINDS`` to look for

    Returns
    -------
    int64 [n_finds, 4]: document, start and end in bytes of its text, place in ``KINDS``; by document and start.
    Where two overlap the one that begins first stays, of those the longest.

    >>> find(pa.record_batch({"text": ["mail a@b.org or +44 20 7946 0958"]})).tolist()
    [[0, 5, 12, 0], [0, 16, 32, 5]]
    """
    text = text_column(batch)
    found = np.empty((len(text.data) // _BYTES_A_FIND, 4), np.int64)
    n = _kernels_pii.scan(*text, found)
    if n > len(found):
        found = np.empty((n, 4), np.int64)
        _kernels_pii.scan(*text, found)
    wanted = np.array([kind in kinds for kind in KINDS])
    found = found[:n][wanted[found[:n, 3]]]
    found = found[np.lexsort((found[:, 3], -found[:, 2], found[:, 1]))]
    kept = np.empty(len(found), np.bool_)
    _kernels_pii.keep_leftmost(found, kept)
    found = found[kept]
    found[:, 1:3] -= text.offsets[found[:, 0], None]
    return found


def scan(batch: pa.RecordBatch, kinds: Mapping[str, str]) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Signals of ``SCHEMA`` and spans of ``gristmill.corpus.schema.SPANS`` of a batch with doc_id and text.

    ``pii_drop`` counts the finds of kinds whose action is drop; spans are those of kinds whose action is mask.

    >>> batch = pa.record_batch({"doc_id": ["d"], "text": ["mail a@b.org"]})
    >>> scan(batch, {"email": "mask"})[1].column("spans").to_pylist()
    [[{'start': 5, 'end': 12, 'reason': 'mask:EMAIL'}]]
    """
    found = find(batch, tuple(kinds))
    counts = np.empty((batch.num_rows, len(KINDS)), np.int64)
    _kernels_pii.count_kinds(found, counts)
    dropped = counts[:, _places(kinds, "drop")].sum(axis=1)
    columns = [*counts.T, counts.sum(axis=1), dropped]
    doc_ids = batch.column("doc_id").cast(pa.string())
    signals = pa.record_batch([doc_ids, *(pa.array(column.astype(float)) for column in columns)], schema=SCHEMA)
    return signals, spans_batch(doc_ids, found[np.isin(found[:, 3], _places(kinds, "mask"))], _REASONS)


def scan_part(documents: Path, folder: Path, *, kinds: Mapping[str, str]) -> Outcome:
    """Scan one part: ``folder/pii.parquet``, row-aligned with ``documents``, and ``folder/spans.parquet``.

    Parameters
    ----------
    kinds : what to do with each kind: ``mask`` puts ``<EMAIL>`` and the like in its place when rows are packed,
        ``drop`` counts it in ``pii_drop`` for a rule to judge, ``count`` only counts. A kind left out is not looked for

    Returns
    -------
    Outcome with the rows, documents and bytes passed on by source, and in ``facts`` the finds by kind

    Raises
    ------
    UnknownNameError, RecipeError : a kind or an action that nobody knows

    Cost
    ----
    One pass over the text; memory is a row group of text and its finds.
    """
    check_kinds(kinds)
    accounts: list[dict[str, Account]] = []
    totals = dict.fromkeys(kinds, 0)
    with PartWriter(folder / "pii.parquet", SCHEMA) as writer, PartWriter(folder / "spans.parquet", SPANS) as edits:
        for batch in read_batches(documents, ["doc_id", "source", "text"]):
            signals, spans = scan(batch, kinds)
            writer.write(signals)
            edits.write(spans)
            for kind in kinds:
                totals[kind] += int(pc.sum(signals.column(f"pii_{kind}")).as_py() or 0)
            accounts.append(passed_by_source(batch.column("source"), pc.binary_length(batch.column("text"))))
    return Outcome(writer.rows, add_up(accounts), {"finds": dict(sorted(totals.items())), "masked": edits.rows})


def check_kinds(kinds: Mapping[str, str]) -> None:
    """Raise for a kind or an action that nobody knows, naming the nearest."""
    for kind, action in kinds.items():
        if kind not in KINDS:
            raise UnknownNameError("kind of personal data in [pii]", kind, KINDS)
        if action not in ACTIONS:
            raise RecipeError(f"pii.{kind} is {action!r}; expected one of {', '.join(ACTIONS)}")


def _places(kinds: Mapping[str, str], action: str) -> list[int]:
    return [place for place, kind in enumerate(KINDS) if kinds.get(kind) == action]
