"""WARC and WET archives: pages of response and resource records, texts of conversion records.

A record's locator is ``path@offset`` in the unpacked archive. A record is a reader's named exception to columns.
request, metadata and warcinfo records never hold a document: they are counted as passed over, not as dropped.
"""

import re
from collections.abc import Callable
from typing import Any

from fastwarc.warc import WarcRecord, WarcRecordType

from gristmill.sources.charset import decode
from gristmill.sources.fields import Fields, meta_json
from gristmill.sources.html import extract
from gristmill.sources.http_body import plain_body
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import not_that_format, open_stream
from gristmill.sources.part import Part
from gristmill.sources.reader import RejectError
from gristmill.sources.records import Block, blocks
from gristmill.sources.spec import ReadSpec

_DOCUMENTS = (WarcRecordType.response, WarcRecordType.resource, WarcRecordType.revisit, WarcRecordType.conversion)
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_SNIFFED_BYTES = 4096
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)  # quoted, or with spaces, as servers do


def read(file: InputFile, spec: ReadSpec, part: Part) -> None:
    """Add every record of ``file`` that may hold a document as a document, a skip or a reject."""
    with open_stream(file, spec) as stream:
        goes_on, offset = True, file.piece.start if file.piece else 0
        while goes_on:
            tail = Block(offset, b"", b"", 0)
            for block in blocks(stream, spec.record_bytes, offset):
                if file.piece and block.offset >= file.piece.stop:
                    return
                if block.offset == 0 and block.wrong == "no_record":
                    raise not_that_format(file, spec, f"it begins with {block.body[:16]!r}, not with WARC/")
                if stream.damage and block.wrong == "truncated_archive":
                    tail = block
                else:
                    _read_block(block, file, spec, part)
                    tail = Block(stream.total_bytes, b"", b"", 0)
            goes_on = part.reject_damage(stream, f"{file.path}@{tail.offset}", tail.size, tail.body)
            offset = stream.total_bytes + 1  # behind the damage; no record begins at the place of the reject


def _read_block(block: Block, file: InputFile, spec: ReadSpec, part: Part) -> None:
    locator = f"{file.path}@{block.offset}"
    try:
        fields = _fields(block, spec, part)
        if fields is not None:
            part.add(locator, block.size, *fields)
    except RejectError as error:
        part.reject(locator, block.size, error.reason, error.detail, block.body)


def _fields(block: Block, spec: ReadSpec, part: Part) -> Fields | None:
    """The columns of a record; None for one that never holds a document."""
    if block.wrong:
        raise RejectError(block.wrong, f"{block.size} bytes from {block.offset}")
    part.mended += block.mended
    record = _parse(block.header + (block.body if block.size <= spec.record_bytes else b""))
    if record.record_type not in _DOCUMENTS:
        part.passed_over[str(record.record_type)] += 1
        return None
    if record.record_type == WarcRecordType.revisit:
        raise RejectError("revisit")
    if block.size > spec.record_bytes:
        raise RejectError("record_too_large", f"{block.size} bytes; see limits.record_bytes")
    return _columns(record, block, spec)


def _parse(data: bytes) -> WarcRecord:
    try:
        return WarcRecord.from_bytes(data)
    except (OSError, ValueError) as error:
        raise RejectError("no_record", str(error)) from None


def _columns(record: WarcRecord, block: Block, spec: ReadSpec) -> Fields:
    headers = record.headers
    body, media_type, charset = _payload(record, block, spec)
    meta: dict[str, Any] = {"content_type": media_type, "id": headers.get("WARC-Record-ID")}
    if reason := headers.get("WARC-Truncated"):
        meta["truncated"] = reason
    lang = None
    if media_type in _HTML:
        text, lang, found = extract(body, charset)
        meta.update(found)
    elif media_type == "text/plain":
        text, meta["charset"], replaced = decode(body, charset, is_html=False)
        meta.update({"replaced_characters": replaced} if replaced else {})
    else:
        raise RejectError("content_type", media_type)
    url = (headers.get("WARC-Target-URI") or "").strip("<>") or None
    return Fields(text, url, lang, None, headers.get("WARC-Date"), meta_json(meta))


def _payload(record: WarcRecord, block: Block, spec: ReadSpec) -> tuple[bytes, str, str | None]:
    """Body without transfer and content encodings, its media type and charset."""
    if record.record_type != WarcRecordType.response or not record.is_http:
        media_type, _, parameters = (record.headers.get("Content-Type") or "").partition(";")
        is_wet = record.record_type == WarcRecordType.conversion
        return block.body, media_type.strip().lower(), _charset(parameters) or ("utf-8" if is_wet else None)
    stored, headers = _http_body(record, spec)
    try:
        body = plain_body(stored, headers("Transfer-Encoding"), headers("Content-Encoding"), spec.record_bytes)
    except ValueError as error:  # a crawler may have unpacked it and kept the header that says gzip
        if _sniffed(stored) != "text/html":
            raise RejectError("http_undecodable", str(error)) from None
        body = stored
    if len(body) > spec.record_bytes:
        raise RejectError("expansion_too_large", f"over {spec.record_bytes} bytes unpacked; see limits.record_bytes")
    return body, (record.http_content_type or _sniffed(body)).lower(), _charset(headers("Content-Type"))


def _http_body(record: WarcRecord, spec: ReadSpec) -> tuple[bytes, Callable[[str], str]]:
    """The body as it stood on the wire, and a look-up of its headers. RejectError for all but status 200."""
    try:
        record.parse_http(auto_decode="none", quirks_mode=True, strict_mode=False)
    except (OSError, ValueError) as error:
        raise RejectError("http_undecodable", str(error)) from None
    status = record.http_headers.status_code if record.is_http_parsed else None
    if status is None:
        raise RejectError("http_undecodable", "no HTTP status line")
    if status != 200:
        raise RejectError("http_status", str(status))
    return record.reader.read(spec.record_bytes + 1), lambda name: _joined_header(record, name)


def _joined_header(record: WarcRecord, name: str) -> str:
    """All values of an HTTP header, in order; a header may stand several times."""
    return ", ".join(value for key, value in record.http_headers.astuples() if key.lower() == name.lower())


def _sniffed(body: bytes) -> str:
    """The media type of a body whose server stated none: markup begins with <, other text has no NUL."""
    first = body[:_SNIFFED_BYTES]
    if b"\0" in first:
        return "application/octet-stream"
    return "text/html" if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else "text/plain"


def _charset(parameters: str) -> str | None:
    found = _CHARSET.search(parameters)
    return found[1] if found else None
