"""What the recipe says of near duplicates, and the stages that find them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from gristmill.corpus.recipe_values import Mistake, Section, Share
from gristmill.corpus.stage import CorpusStage, PartStage, SideTable


class Near(Section):
    """Near duplicates by MinHash, LSH and verification."""

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.8  # Jaccard similarity of word shingles
    shingle_words: Annotated[int, Field(ge=1, le=32)] = 5
    hashes: Annotated[int, Field(ge=16, le=4096)] = 128
    bands: Annotated[int, Field(ge=1)] | None = None  # chosen from threshold and hashes when left out
    rows: Annotated[int, Field(ge=1)] | None = None
    max_unverified_share: Share = (
        1.0  # the run stops when more candidates are no duplicates; below 100 documents a warning
    )
    max_largest_share: Share = (
        0.5  # the run stops when one cluster holds more of the corpus; below 100 documents a warning
    )
    index: str | None = None  # a local folder: the band index of this recipe, so that a new snapshot costs its own size
    off: bool = False

    def mistakes(self) -> Iterator[Mistake]:
        """Bands and rows that do not fit the hashes, and an index that cannot be kept."""
        if (self.bands is None) != (self.rows is None):
            yield Mistake(("bands", "rows"), "bands and rows are given together or not at all")
        if self.bands and self.rows and self.bands * self.rows > self.hashes:
            text = f"{self.bands} bands x {self.rows} rows need more than {self.hashes} hashes"
            yield Mistake(("bands", "rows", "hashes"), text)
        if self.index is not None and self.off:
            yield Mistake(("index", "off"), "index keeps near duplicates, which are off; leave one of the two out")
        if self.index is not None and ("://" in self.index or not self.index.strip()):
            text = f"index = {self.index!r}: expected a folder on this machine, which is mapped into memory"
            yield Mistake(("index",), text)


class SignatureOptions(Section):
    """What signatures depend on."""

    shingle_words: int
    hashes: int
    seed: int
    exact: str = "raw"  # the reading under which texts count as equal, see ``exact.NORMALISATIONS``


def signature_options(near: Near, seed: int) -> SignatureOptions:
    """The part of [dedup.near] that signatures depend on, and the seed of their hash family."""
    return SignatureOptions(shingle_words=near.shingle_words, hashes=near.hashes, seed=seed)


@dataclass(frozen=True, slots=True)
class LargeCluster:
    """One of the largest clusters, and the lowest Jaccard similarity of a text in it to its smallest text."""

    cluster: str
    size: int
    lowest_to_root: float


@dataclass(frozen=True, slots=True)
class ClustersFacts:
    """Of the corpus: the scheme (None where near duplicates are off) and what it found."""

    near: bool
    documents: int
    texts: int
    exact_copies: int
    candidates: int
    verified: int
    unverified_share: float
    clusters: int
    largest_cluster: int
    largest_share: float
    sizes: tuple[tuple[int, int, int], ...]  # from, to, clusters of that size
    bridges: int
    chained: int
    largest: tuple[LargeCluster, ...]
    threshold: float | None = None
    hashes: int | None = None
    shingle_words: int | None = None
    bands: int | None = None
    rows: int | None = None
    engine: str | None = None
    curve: tuple[tuple[float, float], ...] = ()  # Jaccard similarity, chance to be compared


SIGNATURES = PartStage(
    name="signatures",
    key="dedup.near",
    version="4",
    title="MinHash signatures of word shingles",
    section=Near,
    always=True,
    options=signature_options,
    purpose="minhash",
    measure="gristmill.dedup.clusters.minhash:measure_batch",
    columns=("text_hash",),
    rows_at_once=1 << 14,  # 16 MB of signatures; 300 MB more for 100,000 short texts in one piece
    tables=(
        SideTable(
            "signatures.parquet",
            "gristmill.dedup.clusters.minhash:schema_of",
            aligned=True,
            noise=("doc_id", "text_hash", "signature"),
        ),
    ),
)
CLUSTERS = CorpusStage(
    facts=ClustersFacts,
    name="clusters",
    key="dedup.near",
    version="4",
    reads=("documents", "signatures"),
    title="exact and verified near duplicates",
    section=Near,
    always=True,
    table="clusters.parquet",
    run="gristmill.flows.pipeline.clusters:cluster",
)
