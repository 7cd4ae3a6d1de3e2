"""Code versions of stages and of the libraries that decide what a stage writes."""

from importlib import import_module
from importlib.metadata import version

# the module whose VERSION names the behaviour of a stage; bumped when its output changes
STAGE_MODULES = {
    "documents": "sources.read",
    "signals": "filters.signals",
    "language": "filters.language",
    "signatures": "dedup.minhash",
    "clusters": "dedup.clusters",
    "mentions": "knowledge.mentions",
    "line_edits": "filters.line_edits",
    "pii": "filters.pii",
    "blocklist": "filters.blocklist",
    "contamination": "filters.decontaminate",
    "classifier": "filters.classifier",
    "reference": "filters.reference",
    "compression": "filters.compression",
    "decide": "filters.decide",
    "lines": "dedup.lines",
    "substrings": "dedup.substrings",
    "tokenizer": "tokenizer.train",
    "tokens": "tokenizer.encode",
    "shards": "tokenizer.pack",
    "heldout": "tokenizer.pack",
    "plan": "mixing.compile",
    "card": "data_cards.render",
}


def stage_version(stage: str) -> str:
    """The VERSION of the module that implements a stage."""
    return import_module(STAGE_MODULES[stage.split("-")[0]]).VERSION


def stage_versions() -> dict[str, str]:
    """All stage versions, for the lock."""
    return {stage: stage_version(stage) for stage in STAGE_MODULES}


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide the text of a document."""
    from sources.read import library_versions as reading

    return reading()


def environment_versions() -> dict[str, str]:
    """Versions that stand in the card so that a rebuild can be set up."""
    names = ("datasets", "datasketch", "fasttext-wheel", "numba", "numpy", "polars", "pyarrow", "tokenizers", "torch")
    return {name: version(name) for name in names}
