"""The part that is being written: readers add records, documents and rejects come out as two Parquet files.

Here stand the laws that hold for every format: text is NFC, its lines end in LF, it holds more than white space,
has no NUL and no more than ``document_bytes``; addresses beside the text have no credentials; every record is counted
once, as a document, a reject or a skip.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_128_hexdigest

from gristmill.corpus.account import Account
from gristmill.corpus.credentials import without_credentials
from gristmill.corpus.identity import document_id
from gristmill.corpus.meter import count
from gristmill.corpus.schema import DOCUMENTS, REJECTS
from gristmill.corpus.tables import PartWriter
from gristmill.corpus.text.columns import is_blank
from gristmill.sources.address_columns import column_without_credentials
from gristmill.sources.first_records import FirstRecords, Place
from gristmill.sources.opening import Stream
from gristmill.sources.spec import ReadSpec

HEAD_BYTES = 512
BATCH_BYTES = 8 << 20  # of text and raw records in one batch
_ROW_BYTES = 256  # what a row weighs beside its text
_REJECT_ROWS = 4096
CARRIAGE_RETURN = 13
_CUT_ADDRESS = re.compile(r"(://[^/?#\s\"'<>@]*:)[^/?#\s\"'<>@]*$")
SKIPPED = frozenset({"http_status", "content_type", "revisit"})  # not wrong, just not text to train on

RECORDS = pa.schema(
    [
        pa.field("locator", pa.string()),
        pa.field("bytes", pa.int64()),  # raw size of the record
        pa.field("text", pa.large_string()),  # null: rejected as text_null
        pa.field("url", pa.string()),
        pa.field("lang", pa.string()),
        pa.field("license", pa.string()),
        pa.field("created", pa.string()),
        pa.field("meta", pa.string()),
    ]
)


ADDRESSES = ("locator", "url", "license", "meta")  # columns that may hold one
_BESIDE_TEXT = [field for field in RECORDS if field.name != "text"]


class Part:
    """``with Part(folder, spec) as part:`` writes documents.parquet and rejects.parquet into ``folder``."""

    def __init__(self, folder: Path, spec: ReadSpec, place: Place | None = None):
        self.spec = spec
        self.first = FirstRecords(spec.name, spec.text_key, place)
        self.rejected: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()  # WARC records that never hold a document, by type
        self.text_bytes = 0
        self.mended = 0  # records of archives whose length was wrong, read to where the next begins
        self.line_ends = 0  # documents whose CRLF or lone CR became LF
        self._kept_bytes = 0
        self._rejected_bytes = 0
        self._rows: list[tuple[Any, ...]] = []
        self._pending_bytes = 0
        self._reject_rows: list[tuple[Any, ...]] = []
        self._documents = PartWriter(folder / "documents.parquet", DOCUMENTS)
        self._rejects = PartWriter(folder / "rejects.parquet", REJECTS)

    def __enter__(self) -> "Part":
        self._documents.__enter__()
        self._rejects.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        if kind is None:
            self._flush()
            self._flush_rejects()
        self._documents.__exit__(kind, error, trace)
        self._rejects.__exit__(kind, error, trace)
        if kind is None:
            self.first.end()

    @property
    def account(self) -> Account:
        """Records read so far and where they went."""
        kept, dropped = self._documents.rows, sum(self.rejected.values())
        return Account(
            documents_in=kept + dropped,
            documents_kept=kept,
            documents_dropped=dropped,
            bytes_in=self._kept_bytes + self._rejected_bytes,
            bytes_kept=self._kept_bytes,
            bytes_dropped=self._rejected_bytes,
        )

    @property
    def documents(self) -> int:
        """Documents written so far."""
        return self._documents.rows

    def add(self, locator: str, n_bytes: int, text: str, *columns: str | None) -> None:
        """Add one record; ``columns`` are url, lang, license, created, meta."""
        self.first.document()
        self._rows.append((locator, n_bytes, text, *columns))
        self._pending_bytes += len(text) + n_bytes + _ROW_BYTES
        if self._pending_bytes >= BATCH_BYTES:
            self._flush()

    def reject(self, locator: str, n_bytes: int, reason: str, detail: str | None = None, head: bytes = b"") -> None:
        """Count one record that is no document, and keep its locator, size and first bytes."""
        locator, detail = without_credentials(locator), without_credentials(detail or "")[:HEAD_BYTES] or None
        head = _head_without_credentials(head)
        self.first.reject(reason, detail, head)
        self.rejected[reason] += 1
        self._rejected_bytes += n_bytes
        self._reject_rows.append((self.spec.name, locator, reason, detail, n_bytes, head))
        if len(self._reject_rows) >= _REJECT_ROWS:
            self._flush_rejects()

    def reject_damage(self, stream: Stream, locator: str, n_bytes: int = 0, head: bytes = b"") -> bool:
        """One reject for what a damaged archive lost; True when the stream goes on at the next member.

        ``n_bytes`` and ``head`` are of the record that was cut; the packed bytes that were not read count as well.
        """
        damage = stream.damage
        if damage is None:
            return False
        goes_on = stream.resume()
        passed = stream.passed_bytes
        detail = f"{damage.detail}; in the member at byte {stream.damaged_at}, {passed} packed bytes were not read"
        self.reject(locator, max(n_bytes, passed), damage.reason, detail, head)
        return goes_on

    def reject_tail(self, stream: Stream, locator: str, n_bytes: int = 0, head: bytes = b"") -> None:
        """One reject for all that a damaged archive still held; nothing when the stream ended well."""
        if stream.damage is not None:
            self.reject(locator, n_bytes, *stream.damage, head)

    def write(self, records: pa.RecordBatch) -> None:
        """Add a batch of RECORDS whose text is NFC, behind the records added before it."""
        self._flush()
        self._write(records)

    def _write(self, records: pa.RecordBatch) -> None:
        """Reject what breaks a law, write the rest."""
        records = self._with_line_feeds(records)
        wrong = self._wrong(records)
        if len(wrong) < records.num_rows:
            self.first.document()
        if wrong:
            keep = np.ones(records.num_rows, bool)
            keep[list(wrong)] = False
            self._reject_rows_of(records, wrong)
            records = records.filter(pa.array(keep))
        if records.num_rows:
            self._documents.write(self._documents_of(records))
            count(documents=records.num_rows)

    def _with_line_feeds(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """CRLF and lone CR as LF: rules about lines would see one line, or a carriage return behind its full stop."""
        text = records.column("text")
        if not _has_byte(text, CARRIAGE_RETURN):
            return records
        self.line_ends += pc.sum(pc.match_substring(text, "\r")).as_py() or 0
        text = pc.replace_substring(pc.replace_substring(text, "\r\n", "\n"), "\r", "\n")
        return records.set_column(records.schema.get_field_index("text"), records.schema.field("text"), text)

    def _wrong(self, records: pa.RecordBatch) -> dict[int, str]:
        """Reason by row; of two the first in this order."""
        text = records.column("text")
        checks = {"text_null": pc.is_null(text), "empty_text": is_blank(text)}
        checks["document_too_large"] = pc.greater(pc.binary_length(text), self.spec.document_bytes)
        if _has_byte(text, 0):
            checks["nul_character"] = pc.match_substring(text, "\0")
        wrong: dict[int, str] = {}
        for reason, mask in checks.items():
            for row in np.flatnonzero(mask.fill_null(False).to_numpy(zero_copy_only=False)).tolist():
                wrong.setdefault(row, reason)
        return dict(sorted(wrong.items()))

    def _reject_rows_of(self, records: pa.RecordBatch, wrong: dict[int, str]) -> None:
        for row, reason in wrong.items():
            text = records.column("text")[row].as_py() or ""
            locator, n_bytes = records.column("locator")[row].as_py(), records.column("bytes")[row].as_py()
            self.reject(locator, n_bytes, reason, None, text[:HEAD_BYTES].encode())

    def _documents_of(self, records: pa.RecordBatch) -> pa.RecordBatch:
        spec, rows = self.spec, records.num_rows
        self._kept_bytes += pc.sum(records.column("bytes")).as_py()
        self.text_bytes += pc.sum(pc.binary_length(records.column("text"))).as_py()
        columns = {name: records.column(name) for name in RECORDS.names if name != "bytes"}
        columns |= {name: column_without_credentials(columns[name]) for name in ADDRESSES}
        columns["doc_id"] = pa.array(document_ids(spec.name, columns["locator"]))
        columns["text_hash"] = pa.array(text_hashes(columns["text"]))
        columns["source"] = pa.repeat(spec.name, rows)
        columns["domain"] = pa.repeat(spec.domain, rows)
        columns["lang"] = pc.coalesce(columns["lang"], pa.scalar(spec.lang, pa.string()))
        columns["license"] = pc.coalesce(columns["license"], pa.scalar(spec.license, pa.string()))
        return pa.record_batch([columns[name] for name in DOCUMENTS.names], schema=DOCUMENTS)

    def _flush(self) -> None:
        if self._rows:
            columns: list[Any] = list(zip(*self._rows, strict=True))
            text = large_strings(map(nfc, columns.pop(2)))
            arrays = [pa.array(column, field.type) for column, field in zip(columns, _BESIDE_TEXT, strict=True)]
            self._write(pa.record_batch([*arrays[:2], text, *arrays[2:]], schema=RECORDS))
        self._rows, self._pending_bytes = [], 0

    def _flush_rejects(self) -> None:
        if self._reject_rows:
            columns = zip(*self._reject_rows, strict=True)
            self._rejects.write(pa.record_batch([*map(pa.array, columns, REJECTS.types)], schema=REJECTS))
        self._reject_rows = []


def _head_without_credentials(head: bytes) -> bytes:
    """At most HEAD_BYTES; where they end inside an address, before its @ is seen, a password may have begun."""
    text = without_credentials(head[: 2 * HEAD_BYTES].decode("latin-1"))[:HEAD_BYTES]
    return _CUT_ADDRESS.sub(r"\1", text).encode("latin-1") if len(head) >= HEAD_BYTES else text.encode("latin-1")


def document_ids(source: str, locators: pa.StringArray) -> list[str]:
    """xxh3-128 hex of source name, unit separator and locator."""
    return [document_id(source, locator) for locator in locators.to_pylist()]


def text_hashes(text: pa.LargeStringArray) -> list[str]:
    """xxh3-128 hex of each text's UTF-8 bytes. A call a document: no columnar xxh3 exists, and it runs at 4 GB/s."""
    _, offsets, data = text.buffers()
    bounds = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1].tolist()
    view = memoryview(data)
    return [xxh3_128_hexdigest(view[start:end]) for start, end in pairwise(bounds)]


def nfc(text: str) -> str:
    """``text`` in Unicode normalisation form C, by Python's own tables for every format."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def large_strings(texts: Iterable[str]) -> pa.LargeStringArray:
    """A large_string array; three times as fast as pa.array, which encodes each text twice."""
    encoded = [text.encode() for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return pa.LargeStringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def _has_byte(text: pa.LargeStringArray, byte: int) -> bool:
    """True when ``byte`` may stand in a text; 20 times as fast as asking each."""
    data = text.buffers()[2]
    return data is not None and bool((np.frombuffer(data, np.uint8) == byte).any())
