"""The recipe: one frozen object that says everything about a corpus. Unknown keys are mistakes.

What screens documents stands in ``gristmill.corpus.recipe_screens``; reading TOML and reporting mistakes in
``gristmill.corpus.recipe_file``. Rooms never see a recipe, they take plain values.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gristmill.corpus.errors import nearest
from gristmill.corpus.recipe_screens import Blocklist, Classifier, Compression, Decontaminate, LineEdits, Pii, Reference
from gristmill.corpus.recipe_values import Amount, Section, Share, Slug

Format = Literal["jsonl", "parquet", "csv", "text", "html", "warc", "wet", "arrow", "graph"]


def _sum_to_one(shares: dict[str, float]) -> dict[str, float]:
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"shares sum to {total:g}, not 1")
    return shares


class SourceSpec(Section):
    """Where documents come from."""

    name: Slug
    path: str | tuple[str, ...]  # files, folders or globs; local, s3://, gs://, https:// through fsspec
    format: Format | None = None  # inferred from each file's name when left out
    domain: Slug
    license: str | None = None  # for documents that carry none
    lang: str | None = None  # likewise
    text_field: str = "text"
    id_field: str = "id"
    template: str | None = None  # builds the text from fields: "{instruction}\n\n{output}"
    encoding: str = "utf-8"
    priority: int = 0  # of two equal documents, the one of the higher priority is kept
    retention_budget: Share = 1.0  # the run stops when more than this share is dropped

    @property
    def paths(self) -> tuple[str, ...]:
        """The path key as a tuple."""
        return (self.path,) if isinstance(self.path, str) else self.path


class Limits(Section):
    """Input is hostile: what goes beyond is a reject with a reason."""

    document_bytes: Amount = 16 << 20
    record_bytes: Amount = 64 << 20
    expanded_ratio: Amount = 1000  # decompressed to compressed, per file
    json_depth: Amount = 64
    part_bytes: Amount = 64 << 20  # input bytes that make one part


class RuleBound(Section):
    """Bounds of one rule, over those of its profile."""

    at_least: float | None = None
    at_most: float | None = None
    off: bool = False


class DomainRules(Section):
    """Profiles and bounds of one domain, in place of the common ones."""

    profiles: tuple[str, ...] = ()
    rules: dict[str, RuleBound] = {}


class Decide(DomainRules):
    """Which documents are kept."""

    domains: dict[str, DomainRules] = {}
    decisions: str | None = None  # decisions.jsonl of the review page: people's keep and drop


class Near(Section):
    """Near duplicates by MinHash, LSH and verification."""

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.8  # Jaccard similarity of word shingles
    shingle_words: Annotated[int, Field(ge=1, le=32)] = 5
    hashes: Annotated[int, Field(ge=16, le=4096)] = 128
    bands: Annotated[int, Field(ge=1)] | None = None  # chosen from threshold and hashes when left out
    rows: Annotated[int, Field(ge=1)] | None = None
    max_unverified_share: Share = 1.0  # the run stops when more candidates than this turn out to be no duplicates
    max_largest_share: Share = 0.5  # the run stops when one cluster holds more of the corpus
    index: str | None = None  # a local folder: the band index of this recipe, so that a new snapshot costs its own size
    off: bool = False

    @model_validator(mode="after")
    def _bands_and_rows_together(self) -> Self:
        if (self.bands is None) != (self.rows is None):
            raise ValueError("bands and rows are given together or not at all")
        if self.bands and self.rows and self.bands * self.rows > self.hashes:
            raise ValueError(f"{self.bands} bands x {self.rows} rows need more than {self.hashes} hashes")
        return self

    @model_validator(mode="after")
    def _index_is_a_folder_of_near_duplicates(self) -> Self:
        if self.index is not None and self.off:
            raise ValueError("index keeps near duplicates, which are off; leave one of the two out")
        if self.index is not None and ("://" in self.index or not self.index.strip()):
            raise ValueError(f"index = {self.index!r}: expected a folder on this machine, which is mapped into memory")
        return self


class Lines(Section):
    """Lines or paragraphs that the kept corpus already has: the first copy stays, later ones are cut out."""

    unit: Literal["line", "paragraph"] = "line"
    min_chars: Annotated[int, Field(ge=1)] = 30
    scope: Literal["corpus", "source"] = "corpus"


class Substrings(Section):
    """Repeated runs of tokens: the first copy stays, later ones are cut out."""

    min_tokens: Annotated[int, Field(ge=2)] = 50


class Dedup(Section):
    """Duplicates."""

    near: Near = Near()
    lines: Lines | None = None
    substrings: Substrings | None = None


class Knowledge(Section):
    """The graph that text is joined with."""

    graph: str  # folder with entities.parquet and triples.parquet
    languages: tuple[str, ...] = ()  # labels of these languages only; all when empty
    min_label_chars: Annotated[int, Field(ge=1)] = 4


class Language(Section):
    """Language identification."""

    model: str = "samples/models/lid.176.ftz"


class Phase(Section):
    """A stretch of the curriculum."""

    until_tokens: Amount
    shape: Literal["step", "linear"] = "step"  # linear = a ramp from the phase before
    shares: Annotated[dict[str, Share], AfterValidator(_sum_to_one)]


class Caps(Section):
    """How often a domain may be repeated."""

    max_epochs: Annotated[float, Field(gt=0)] = 4.0
    domains: dict[str, Annotated[float, Field(gt=0)]] = {}


class Mixing(Section):
    """The mixture beside its schedule."""

    caps: Caps = Caps()


class Tokenizer(Section):
    """Byte-level BPE, trained on the kept text."""

    vocab_size: Annotated[int, Field(ge=258, le=1 << 20)] = 8192
    min_frequency: Annotated[int, Field(ge=1)] = 2
    sample_bytes: Amount = 32 << 20  # trained on a keyed sample of at most this much text


class Shards(Section):
    """Packed rows."""

    row_tokens: Annotated[int, Field(ge=8, le=1 << 20)] = 1024
    heldout: Annotated[float, Field(ge=0, le=0.5)] = 0.02  # share of documents kept away from training
    shard_rows: Annotated[int, Field(ge=1)] = 16384
    batch_rows: Annotated[int, Field(ge=1)] = 256  # rows a record batch, the unit of the digests


class Trainer(Section):
    """The compact Mixture-of-Experts model."""

    layers: Annotated[int, Field(ge=1)] = 3
    width: Annotated[int, Field(ge=16, multiple_of=8)] = 96
    heads: Annotated[int, Field(ge=1)] = 3
    experts: Annotated[int, Field(ge=1)] = 8
    expert_width: Annotated[int, Field(ge=8, multiple_of=8)] = 96
    shared_experts: Annotated[int, Field(ge=0)] = 1
    top_k: Annotated[int, Field(ge=1)] = 2
    score: Literal["softmax", "sigmoid"] = "sigmoid"
    balance: Literal["bias", "switch", "none"] = "bias"
    balance_rate: Annotated[float, Field(ge=0)] = 0.01  # bias step, or weight of the Switch loss
    z_loss: Annotated[float, Field(ge=0)] = 0.0
    batch_rows: Annotated[int, Field(ge=1)] = 8
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    warmup_steps: Annotated[int, Field(ge=0)] = 20
    checkpoint_steps: Annotated[int, Field(ge=1)] = 100
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    heldout_rows: Annotated[int, Field(ge=0)] = 32  # of each domain, evaluated before and after
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = "cpu"
    threads: Annotated[int, Field(ge=0)] = 0  # 0 = all cores

    @model_validator(mode="after")
    def _top_k_fits(self) -> Self:
        if self.top_k > self.experts:
            raise ValueError(f"top_k is {self.top_k}, but there are {self.experts} experts")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class Schedule(Section):
    """When Prefect runs the recipe."""

    cron: str
    timezone: str = "UTC"


class Engine(Section):
    """How parts are computed; never changes what is computed."""

    workers: Annotated[int, Field(ge=0)] = 0  # 0 = all cores
    address: str | None = None  # a running Dask scheduler, tcp://...


class StoreSpec(Section):
    """Where outputs are kept."""

    path: str | None = None  # a folder or s3://...; $GRISTMILL_HOME/store when left out


class Recipe(Section):
    """One corpus."""

    name: Slug
    seed: Annotated[int, Field(ge=0)]
    description: str = ""
    sources: tuple[SourceSpec, ...]
    limits: Limits = Limits()
    language: Language | None = None
    line_edits: LineEdits | None = None
    pii: Pii = Pii()
    blocklist: Blocklist | None = None
    decontaminate: Decontaminate | None = None
    classifiers: tuple[Classifier, ...] = ()
    references: tuple[Reference, ...] = ()
    compression: Compression | None = None
    decide: Decide = Decide()
    dedup: Dedup = Dedup()
    knowledge: Knowledge | None = None
    curriculum: tuple[Phase, ...] = ()
    mixing: Mixing = Mixing()
    tokenizer: Tokenizer = Tokenizer()
    shards: Shards = Shards()
    trainer: Trainer | None = None
    schedule: Schedule | None = None
    engine: Engine = Engine()
    store: StoreSpec = StoreSpec()

    @property
    def domains(self) -> tuple[str, ...]:
        """Domains of the sources, sorted."""
        return tuple(sorted({source.domain for source in self.sources}))

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        if not self.sources:
            raise ValueError("sources: a corpus needs at least one [[sources]]")
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"sources: two are called {twice[0]!r}")
        self._check_domains("mixing.caps.domains", self.mixing.caps.domains)
        self._check_domains("decide.domains", self.decide.domains)
        self._check_domains("line_edits.domains", self.line_edits.domains if self.line_edits else ())
        before = 0
        for number, phase in enumerate(self.curriculum):
            self._check_domains(f"curriculum.{number}.shares", phase.shares)
            if phase.until_tokens <= before:
                raise ValueError(f"curriculum.{number}.until_tokens: {phase.until_tokens} does not come after {before}")
            before = phase.until_tokens
        return self

    def _check_domains(self, where: str, domains: Iterable[str]) -> None:
        for domain in domains:
            if domain not in self.domains:
                raise ValueError(f"{where}: no source has the domain {domain!r}{nearest(domain, self.domains)}")

    def locked(self) -> dict[str, Any]:
        """What decides the corpus: the recipe without engine, store, schedule and band index, as plain JSON."""
        aside = {"engine": True, "store": True, "schedule": True, "dedup": {"near": {"index"}}}
        return self.model_dump(mode="json", exclude=aside)
