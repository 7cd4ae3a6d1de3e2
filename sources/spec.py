"""What a reader needs to know about a source, as plain values. Reading itself stands in ``gristmill.sources.read``."""

import codecs
from dataclasses import dataclass
from string import Formatter

from gristmill.corpus.errors import SourceError
from gristmill.sources.stage import Limits

_LIMITS = Limits()
_NOT_TEXT = frozenset({"utf-7", "unicode_escape", "raw_unicode_escape", "undefined"})  # they decode to lone surrogates


def is_utf8(encoding: str) -> bool:
    """True when bytes of this encoding are those of the text column."""
    return codecs.lookup(encoding).name in ("utf-8", "ascii")


def _is_name(field: str) -> bool:
    """True for a field's name or a path of names, joined by dots."""
    return all(name.replace("-", "_").isidentifier() for name in field.split("."))


@dataclass(frozen=True, slots=True)
class ReadSpec:
    """One source and the limits of its input; a wrong ``template`` or ``encoding`` is a SourceError at once."""

    name: str
    domain: str
    license: str | None = None  # for documents that carry none
    lang: str | None = None  # likewise
    text_field: str = "text"
    id_field: str = "id"
    template: str | None = None  # builds the text from fields: "{instruction}\n\n{output}"
    messages: str | None = None  # the field that holds a conversation
    encoding: str = "utf-8"
    delimiter: str | None = None  # CSV and TSV: between fields; None, as the header line looks
    quotes: bool | None = None  # CSV and TSV: True, a quote opens a field; False, it is a character; None, as it looks
    document_bytes: int = _LIMITS.document_bytes  # of UTF-8 text
    record_bytes: int = _LIMITS.record_bytes  # of raw input
    expanded_ratio: int = _LIMITS.expanded_ratio  # unpacked to packed bytes of a file
    json_depth: int = _LIMITS.json_depth

    @property
    def text_key(self) -> str:
        """The key of the recipe that says where the text stands."""
        return "messages" if self.messages else "template" if self.template else "text_field"

    def __post_init__(self) -> None:
        self.template_parts  # noqa: B018  parsed for its errors
        try:
            "".encode(self.encoding)
            if codecs.lookup(self.encoding).name in _NOT_TEXT:
                raise LookupError  # noqa: TRY301
        except (LookupError, UnicodeError):
            raise SourceError(
                f"sources.{self.name}.encoding: Python knows no text encoding {self.encoding!r}; write utf-8 or latin-1"
            ) from None

    @property
    def is_utf8(self) -> bool:
        """True when the input's bytes are already those of the text column."""
        return is_utf8(self.encoding)

    @property
    def template_parts(self) -> tuple[tuple[str, str | None], ...]:
        r"""The template as (literal, field that follows it) pairs; the last field may be None.

        >>> ReadSpec("faq", "web", template="Q: {question}\nA: {answer}").template_parts
        (('Q: ', 'question'), ('\nA: ', 'answer'))
        """
        try:
            parts = list(Formatter().parse(self.template or ""))
        except ValueError as error:
            raise self._template_error(str(error)) from None
        for _, field, form, conversion in parts:
            if field is not None and (form or conversion or not _is_name(field)):
                raise self._template_error(f"{field!r} with {form or conversion or 'that spelling'!r} is no plain name")
        if self.template is not None and not any(field for _, field, _, _ in parts):
            raise self._template_error("it fills in no field")
        return tuple((literal, field) for literal, field, _, _ in parts)

    def _template_error(self, why: str) -> SourceError:
        return SourceError(
            f"sources.{self.name}.template: {why}; only plain field names in braces are filled in, "
            'such as "{question}\\n\\n{answer}"'
        )
