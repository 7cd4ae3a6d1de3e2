"""What the recipe says of sources, and the stage that reads them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from gristmill.corpus.recipe_values import Amount, Mistake, Section, Share, Slug
from gristmill.corpus.stage import CorpusStage

Character = Annotated[str, Field(min_length=1, max_length=1)]
MAX_DOCUMENT_BYTES = 32 << 20  # counts and fixed-point sums of the signal kernels hold to here


class SourceSpec(Section):
    """Where documents come from."""

    name: Slug
    path: str | tuple[str, ...]  # files, folders or globs; local, s3://, gs://, https:// through fsspec
    exclude: tuple[str, ...] = ()  # patterns of files and folders to leave out: "*.md", "drafts/*"
    format: str | None = None  # a reader, or graph; inferred from each file's name when left out
    domain: Slug
    license: str | None = None  # for documents that carry none
    lang: str | None = None  # likewise
    text_field: str = "text"
    id_field: str = "id"
    template: str | None = None  # builds the text from fields: "{instruction}\n\n{output}"
    messages: str | None = None  # the field with a conversation; instruction, where input and output stand beside it
    encoding: str = "utf-8"
    delimiter: Character | None = None  # csv: what stands between fields; found from the header when left out
    quotes: bool | None = None  # csv: whether a quote opens a field; found from the file when left out
    priority: int = 0  # of two equal documents, the one of the higher priority is kept
    retention_budget: Share = 1.0  # the run stops when more is rejected, dropped or merged
    renamed: Literal["latest"] | None = None  # a renamed file keeps the name, and ids, of the recipe's latest run
    use: Literal["train", "evaluate", "blocked"] = "train"  # evaluate: held-out rows alone; blocked: never handed over

    @property
    def paths(self) -> tuple[str, ...]:
        """The path key as a tuple."""
        return (self.path,) if isinstance(self.path, str) else self.path

    def mistakes(self) -> Iterator[Mistake]:
        """Keys that do not go together."""
        for key in ("template", "text_field"):
            if self.messages is not None and key in self.model_fields_set:
                yield Mistake((key, "messages"), "the text is that of the messages; leave this key out")
        if self.delimiter is not None and (self.delimiter in '"\r\n' or not self.delimiter.isascii()):
            yield Mistake(("delimiter",), f"{self.delimiter!r} cannot stand between fields")


class Limits(Section):
    """Input is hostile: what goes beyond is a reject with a reason."""

    document_bytes: Amount = 16 << 20  # of text; signals hold up to 32 MiB
    record_bytes: Amount = 64 << 20
    expanded_ratio: Amount = 1000  # decompressed to compressed, per file
    json_depth: Amount = 64
    part_bytes: Amount = 64 << 20  # input bytes that make one part

    def mistakes(self) -> Iterator[Mistake]:
        """Documents larger than any kernel takes."""
        if self.document_bytes > MAX_DOCUMENT_BYTES:
            text = f"{self.document_bytes} is more than the {MAX_DOCUMENT_BYTES} bytes that signals are measured on"
            yield Mistake(("document_bytes",), text)


@dataclass(frozen=True, slots=True)
class DocumentsFacts:
    """Of one part. Rejected and skipped records by reason, WARC records passed over by type."""

    rejects: dict[str, int]
    skipped: dict[str, int]
    text_bytes: int
    passed_over: dict[str, int] = field(default_factory=dict)
    files: int = 0
    line_ends: int = 0  # documents whose CRLF or lone CR became LF
    mended_lengths: int = 0  # WARC records whose Content-Length was wrong, read to where the next begins
    triples: int | None = None  # of a graph that was written as documents


DOCUMENTS = CorpusStage(
    facts=DocumentsFacts,
    name="documents",
    version="7",  # lines of tables end at line feeds alone
    title="raw files to documents and rejects",
    always=True,
    libraries="gristmill.sources.read:library_versions",
    table="documents.parquet",
    run="gristmill.flows.pipeline.ingest:ingest",
)
