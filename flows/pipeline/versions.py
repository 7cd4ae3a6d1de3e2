"""Code versions of stages and of the libraries that decide what a stage writes."""

from importlib import import_module
from importlib.metadata import version

# the module whose VERSION names the behaviour of a stage; bumped when its output changes
STAGE_MODULES = {
    "documents": "gristmill.sources.read",
    "signals": "gristmill.filters.signals.measure",
    "language": "gristmill.filters.models.language",
    "signatures": "gristmill.dedup.clusters.minhash",
    "clusters": "gristmill.dedup.clusters.cluster",
    "mentions": "gristmill.knowledge.mentions",
    "line_edits": "gristmill.filters.line_edits.find_edits",
    "pii": "gristmill.filters.pii.scan",
    "blocklist": "gristmill.filters.lists.blocklist",
    "contamination": "gristmill.filters.lists.decontaminate",
    "classifier": "gristmill.filters.models.classifier",
    "reference": "gristmill.filters.models.reference",
    "compression": "gristmill.filters.models.compression",
    "decide": "gristmill.filters.decide.verdicts",
    "lines": "gristmill.dedup.repeats.lines",
    "substrings": "gristmill.dedup.repeats.substrings",
    "tokenizer": "gristmill.tokenizer.bpe_training",
    "tokens": "gristmill.tokenizer.encode",
    "shards": "gristmill.tokenizer.pack",
    "heldout": "gristmill.tokenizer.pack",
    "plan": "gristmill.mixing.compile",
    "card": "gristmill.data_cards.render",
}


def stage_version(stage: str) -> str:
    """The VERSION of the module that implements a stage."""
    return import_module(STAGE_MODULES[stage.split("-")[0]]).VERSION


def stage_versions() -> dict[str, str]:
    """All stage versions, for the lock."""
    return {stage: stage_version(stage) for stage in STAGE_MODULES}


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide the text of a document."""
    from gristmill.sources.read import library_versions as reading

    return reading()


def environment_versions() -> dict[str, str]:
    """Versions that stand in the card so that a rebuild can be set up."""
    names = ("datasets", "datasketch", "fasttext-wheel", "numba", "numpy", "polars", "pyarrow", "tokenizers", "torch")
    return {name: version(name) for name in names}
