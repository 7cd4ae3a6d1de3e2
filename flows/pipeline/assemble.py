"""Stages that turn kept text into what a trainer reads: tokenizer, tokens, shards, held-out rows, plan."""

from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from gristmill.corpus.errors import PlanError
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.seeds import derive_seed
from gristmill.flows.pipeline.context import Mill
from gristmill.flows.pipeline.each_part import DOCUMENTS
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.kept import kept_by_part, kept_digest
from gristmill.flows.pipeline.versions import stage_version


def learn_tokenizer(mill: Mill) -> Manifest:
    """Byte-level BPE on a keyed sample of the kept text."""
    from gristmill.tokenizer.bpe_training import train_tokenizer
    from gristmill.tokenizer.vocabulary import library_versions

    kept = kept_by_part(mill)
    seed = derive_seed(derive_seed(mill.recipe.seed, "tokenizer"), "tokenizer")  # twice, as 0.1.0 did: equal bytes
    options = {**mill.recipe.tokenizer.model_dump(), "seed": seed}
    inputs = [[part.key, kept_digest(rows)] for part, rows in _with_kept(mill, kept)]
    key = job_key("tokenizer", stage_version("tokenizer"), inputs, libraries=library_versions(), **options)
    parts = [(Ref(part, DOCUMENTS), rows) for part, rows in _with_kept(mill, kept)]
    manifest = mill.stage("tokenizer", [Job("tokenizer", key, train_tokenizer, {"parts": parts, **options})])
    mill.run.place(mill.store.folder(manifest.parts[0]), "tokenizer")
    return manifest


def encode(mill: Mill) -> Manifest:
    """Kept text to tokens, part by part."""
    from gristmill.tokenizer.encode import encode_part

    model = mill.run.manifest("tokenizer").parts[0]
    jobs = []
    for part, rows in _with_kept(mill, kept_by_part(mill)):
        key = job_key("tokens", stage_version("tokens"), [part.key, kept_digest(rows), model.key])
        arguments = {"documents": Ref(part, DOCUMENTS), "kept": rows, "tokenizer": Ref(model, "tokenizer.json")}
        jobs.append(Job("tokens", key, encode_part, arguments))
    return mill.stage("tokens", jobs)


def pack(mill: Mill) -> tuple[Manifest, Manifest]:
    """Tokens to packed rows in Arrow shards, a folder a domain; held-out rows beside them."""
    return _pack(mill, "shards", heldout=False), _pack(mill, "heldout", heldout=True)


def _pack(mill: Mill, stage: str, *, heldout: bool) -> Manifest:
    from gristmill.tokenizer.pack import Layout, pack_domain

    layout = Layout(**mill.recipe.shards.model_dump(exclude={"heldout"}))
    options = {"vocab_size": vocab_size(mill), "heldout": heldout}
    tokens = [part.key for part in mill.run.manifest("tokens").parts]
    jobs = []
    for domain in mill.recipe.domains:
        key = job_key(stage, stage_version(stage), tokens, domain=domain, layout=asdict(layout), **options)
        arguments = {"tokens": mill.refs("tokens", "tokens.parquet"), "domain": domain, "layout": layout, **options}
        jobs.append(Job(stage, key, pack_domain, arguments))
    manifest = mill.stage(stage, jobs)
    for domain, receipt in zip(mill.recipe.domains, manifest.parts, strict=True):
        mill.run.place(mill.store.folder(receipt), f"{stage}/{domain}")
    return manifest


def plan_mixture(mill: Mill) -> Manifest:
    """The curriculum compiled into the exact order of rows."""
    from gristmill.mixing.compile import plan_stage
    from gristmill.mixing.curriculum import Phase
    from gristmill.mixing.feasibility import EpochCaps

    packed = mill.run.manifest("shards")
    if not packed.rows:
        raise PlanError("no document was kept, so there is nothing to plan; loosen [decide] or add sources")
    caps = EpochCaps(**mill.recipe.mixing.caps.model_dump())
    options = {
        "phases": [Phase(**phase.model_dump()) for phase in mill.recipe.curriculum],
        "row_tokens": mill.recipe.shards.row_tokens,
        "seed": derive_seed(mill.recipe.seed, "plan"),
        "caps": caps,
    }
    plain = options | {"phases": [asdict(phase) for phase in options["phases"]], "caps": asdict(caps)}
    key = job_key("plan", stage_version("plan"), packed.key, **plain)
    shards = {domain: Ref(part, "") for domain, part in zip(mill.recipe.domains, packed.parts, strict=True)}
    manifest = mill.stage("plan", [Job("plan", key, plan_stage, {"shards": shards, **options})])
    mill.run.place(mill.store.folder(manifest.parts[0]), "plan")
    return manifest


def vocab_size(mill: Mill) -> int:
    """The size that the tokenizer really has; small corpora do not fill the one asked for."""
    return mill.run.manifest("tokenizer").parts[0].facts["vocab_size"]


def _with_kept(mill: Mill, kept: Sequence[pa.Table]):  # noqa: ANN202  pairs of receipt and table
    return zip(mill.run.manifest("documents").parts, kept, strict=True)
