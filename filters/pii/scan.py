"""Personal data and secrets: found by form and checksum in one pass, then counted, masked or held against a document.

A name, a street or a date has no form, so none is found here. What is claimed, and the rule of each kind:

email  ``name@host.tld`` in ASCII, the last label two letters or more; an apostrophe between letters (o'brien@host.tld)
ipv4   dotted quad without leading zeros, not in a special block of RFC 6890; a part is 100 or more, or 32 where
       ``http://``, a port or a word (IP, address, host, server ...) announces it; no version, section or OID before it
ipv6   eight groups, or ``::`` in 2000::/3; not documentation, local or multicast
card   12 to 19 digits in one run, 4 4 4 4, 4 6 5 or 4 6 4; scheme, its length, Luhn check; no EAN, GTIN, UPC before it
iban   length of the country, solid or in groups of four with blanks or hyphens, mod 97
phone  ``+`` or 00 and a country code; North American; a trunk 0 and groups, also (02) 1234 5678; any of 7 to 15 digits
       that a word announces (phone, tel, mobile, fax, call me on ..., and those words in the languages of
       ``_kernels_labels``) or names behind it (-Fax, office);
       an extension (x123, ext. 123) belongs to it. No years, ISBN, or count of something (bytes, people).
       A bare local number is left alone: nothing tells it from others
key    tokens of the forms in ``_kernels_keys`` (AWS, GitHub, GitLab, Slack, Google, Stripe, Twilio, SendGrid, PyPI,
       npm, Telegram, OpenAI, Anthropic ...); JSON web tokens; private key blocks; ``user:password`` in an address; a
       random value that is assigned to a key, token, secret or password, or stands behind Bearer or Basic

Full width digits and letters are read as ASCII.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from gristmill.corpus.span_tables import spans_column
from gristmill.corpus.stage import Measured
from gristmill.corpus.text.columns import PAD_BYTES, TextColumn, text_column
from gristmill.filters.pii import _kernels
from gristmill.filters.pii import _kernels_width as width
from gristmill.filters.pii.stage import KINDS, SIGNALS, Pii, PiiFacts

_BYTES_A_FIND = 64  # room for one in so many bytes, mapped only where finds reach; a second pass halves the rate
_FULL_WIDTH = 0xEF  # the first byte of U+FF01 to U+FF5E
_MARKERS = {"ipv4": "IP_ADDRESS", "ipv6": "IP_ADDRESS", "key": "SECRET"}
_REASONS = [f"mask:{_MARKERS.get(kind, kind.upper())}" for kind in KINDS]


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
    found = _find(text, kinds)
    rows = np.empty(text.n_docs, np.int64)
    rows = rows[: width.rows_with_wide_digits(*text, rows)]
    if len(rows):
        found = np.concatenate([found[~np.isin(found[:, 0], rows)], _find_wide(text, rows, kinds)])
        found = found[np.lexsort((found[:, 1], found[:, 0]))]
    found[:, 1:3] -= text.offsets[found[:, 0], None]
    return found


def _find(text: TextColumn, kinds: tuple[str, ...]) -> np.ndarray:
    """Finds with their places in ``text.data``."""
    found = np.empty((len(text.data) // _BYTES_A_FIND, 4), np.int64)
    n = _kernels.scan(*text, found)
    if n > len(found):
        found = np.empty((n, 4), np.int64)
        _kernels.scan(*text, found)
    wanted = np.array([kind in kinds for kind in KINDS])
    found = found[:n][wanted[found[:n, 3]]]
    found = found[np.lexsort((found[:, 3], -found[:, 2], found[:, 1]))]
    kept = np.empty(len(found), np.bool_)
    _kernels.keep_leftmost(found, kept)
    return found[kept]


def _find_wide(text: TextColumn, rows: np.ndarray, kinds: tuple[str, ...]) -> np.ndarray:
    """Finds in documents with full width digits, read as ASCII, with their places in the text as it is."""
    n_bytes = int((text.offsets[rows + 1] - text.offsets[rows]).sum()) + PAD_BYTES
    narrow = TextColumn(np.empty(len(rows) + 1, np.int64), np.zeros(n_bytes, np.uint8))
    places = np.empty(n_bytes, np.int64)
    width.fold_width(*text, rows, *narrow, places)
    found = _find(narrow, kinds)
    last = places[found[:, 2] - 1]
    ends = last + np.where(text.data[last] == _FULL_WIDTH, 3, 1)
    return np.column_stack([rows[found[:, 0]], places[found[:, 1]], ends, found[:, 3]])


def measure(batch: pa.RecordBatch, options: Pii, state: None) -> Measured:  # noqa: ARG001
    """Counts by kind, and the spans of kinds whose action is mask; ``pii_drop`` counts those whose action is drop.

    A span's reason is the marker that stands in its place once rows are packed, such as ``mask:EMAIL``.

    >>> batch = pa.record_batch({"doc_id": ["d"], "text": ["mail a@b.org"]})
    >>> measure(batch, Pii(email="mask"), None).spans.to_pylist()
    [[{'start': 5, 'end': 12, 'reason': 'mask:EMAIL'}]]
    """
    kinds = options.actions
    found = find(batch, tuple(kinds))
    counts = np.empty((batch.num_rows, len(KINDS)), np.int64)
    _kernels.count_kinds(found, counts)
    dropped = counts[:, _places(kinds, "drop")].sum(axis=1)
    columns = [*counts.T, counts.sum(axis=1), dropped]
    masks = found[np.isin(found[:, 3], _places(kinds, "mask"))]
    finds = {kind: int(counts[:, KINDS.index(kind)].sum()) for kind in sorted(kinds)}
    return Measured(
        {signal.name: pa.array(column.astype(float)) for signal, column in zip(SIGNALS, columns, strict=True)},
        spans_column(batch.num_rows, masks, _REASONS),
        PiiFacts(finds, len(np.unique(masks[:, 0]))),
    )


def _places(kinds: Mapping[str, str], action: str) -> list[int]:
    return [place for place, kind in enumerate(KINDS) if kinds.get(kind) == action]
