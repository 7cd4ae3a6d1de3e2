"""Stages that turn kept text into what a trainer reads: tokenizer, tokens, shards, held-out rows, plan, pieces."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gristmill.corpus.errors import PlanError
from gristmill.corpus.facts import read_facts
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.seeds import derive_seed
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.kept import kept_by_part, kept_digest
from gristmill.flows.pipeline.locking import libraries_of
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.policy_gate import refuse_forbidden
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.row_order import paces_of, row_order, stored_for
from gristmill.flows.pipeline.stages import Instance
from gristmill.handoff.piece_index import FOLDER as PIECES_FOLDER
from gristmill.tokenizer.stage import Tokenizer, TokenizerFacts

TOKENIZER_FILE = "tokenizer.json"

if TYPE_CHECKING:
    from gristmill.mixing.curriculum import Phase
    from gristmill.tokenizer.encoded_batch import Encoding
    from gristmill.tokenizer.pack import Layout
    from gristmill.tokenizer.row_buckets import RowOrder


def learn_tokenizer(context: RunContext, stage: Instance) -> Manifest:
    """The tokenizer that the recipe names, or byte-level BPE on a keyed sample of the kept text."""
    job = _own_tokenizer(context, stage) if stage.options.path else _trained_tokenizer(context, stage)
    manifest = context.compute("tokenizer", [job])
    context.place("tokenizer", manifest.parts[0])
    return manifest


def _own_tokenizer(context: RunContext, stage: Instance) -> Job:
    from gristmill.tokenizer.own_tokenizer import take_tokenizer

    section, file = _with_template(context, stage), context.inputs.of_stage("tokenizer")["path"]
    settings = section.model_dump(include={"specials", "chat_template"})
    kind = file.paths[0].suffix
    key = job_key("tokenizer", stage.spec.version, file.digest, libraries=libraries_of(stage), kind=kind, **settings)
    return Job("tokenizer", key, take_tokenizer, {"path": file.paths[0], "section": section})


def _trained_tokenizer(context: RunContext, stage: Instance) -> Job:
    from gristmill.tokenizer.bpe_training import train_tokenizer

    refuse_forbidden(context)
    kept = kept_by_part(context)
    section = _with_template(context, stage)
    options: dict[str, Any] = {
        "seed": derive_seed(context.seed("tokenizer"), "tokenizer")
    }  # twice, as 0.1.0 did: equal bytes
    if section.sample == "mixture" and context.recipe.curriculum:
        options["shares"] = mean_shares(context)
    inputs = [[part.key, kept_digest(rows)] for part, rows in _with_kept(context, kept)]
    settings = section.model_dump(exclude={"path", "from_", "compare"})
    key = job_key("tokenizer", stage.spec.version, inputs, libraries=libraries_of(stage), section=settings, **options)
    parts = [(Ref(part, DOCUMENTS_FILE), rows) for part, rows in _with_kept(context, kept)]
    return Job("tokenizer", key, train_tokenizer, {"parts": parts, "section": section, **options})


def _with_template(context: RunContext, stage: Instance) -> Tokenizer:
    """The section with its chat template as text, wherever a worker stands, and every special token."""
    from gristmill.tokenizer.chat_template import template_text

    file = context.inputs.of_stage("tokenizer").get("chat_template")
    text = template_text(stage.options, file.paths[0] if file else None)
    return stage.options.model_copy(update={"chat_template": text, "specials": context.recipe.special_tokens})


def mean_shares(context: RunContext) -> dict[str, float]:
    """What the curriculum draws from each domain over the whole run, as shares that sum to one."""
    from gristmill.mixing.curriculum import drawn_domains, segments
    from gristmill.mixing.feasibility import demand

    phases = phases_of(context.recipe)
    names = drawn_domains(phases)
    rows = demand(segments(phases, names, context.recipe.shards.row_tokens), names)
    return {name: rows[name] / sum(rows.values()) for name in names}


def encode(context: RunContext, stage: Instance) -> Manifest:
    """Kept text to tokens, part by part."""
    from gristmill.tokenizer.encode import encode_part

    refuse_forbidden(context)
    model = context.run.manifest("tokenizer").parts[0]
    spelling = next(file.sha256 for file in model.files if file.name == TOKENIZER_FILE)  # trained here, or given: equal
    languages = context.run.manifest("language").parts if context.run.has("language") else ()
    chat = {source.name for source in context.recipe.sources if source.messages}
    jobs = []
    for place, (part, rows) in enumerate(_with_kept(context, kept_by_part(context))):
        language = languages[place] if languages else None
        inputs = [part.key, kept_digest(rows), spelling, *([language.key] if language else [])]
        arguments = {"documents": Ref(part, DOCUMENTS_FILE), "kept": rows, "tokenizer": Ref(model, TOKENIZER_FILE)}
        arguments |= {"language": Ref(language, "language.parquet")} if language else {}
        arguments["encoding"], settings = _encoding(context, stage, bool(set(part.accounts) & chat))
        key = job_key("tokens", stage.spec.version, inputs, **settings)
        jobs.append(Job("tokens", key, encode_part, arguments))
    return context.compute("tokens", jobs)


def _encoding(context: RunContext, stage: Instance, conversations: bool) -> "tuple[Encoding, dict[str, Any]]":
    """What is encoded how, and what of it stands in the key: [fill_in_middle] only where the recipe has it."""
    from gristmill.tokenizer.encoded_batch import Encoding

    settings: dict[str, Any] = {"conversations": conversations}
    if stage.options is None:
        return Encoding(conversations), settings
    seed = context.seed("tokens")
    settings |= {"fill_in_middle": stage.options.model_dump(), "seed": seed}
    return Encoding(conversations, stage.options, seed), settings


def pack_shards(context: RunContext, stage: Instance) -> Manifest:
    """Tokens to packed rows in Arrow shards, a folder for each domain."""
    return _pack(context, stage, heldout=False)


def pack_heldout(context: RunContext, stage: Instance) -> Manifest:
    """The rows that no training sees, beside them."""
    return _pack(context, stage, heldout=True)


def _pack(context: RunContext, stage: Instance, *, heldout: bool) -> Manifest:
    from gristmill.tokenizer.pack import Layout, pack_domain

    tokenizer = tokenizer_facts(context)
    layout = Layout(**context.recipe.shards.model_dump(exclude={"heldout"}), pad_id=tokenizer.pad_id)
    options = {"vocab_size": tokenizer.vocab_size, "heldout": heldout}
    tokens = [part.key for part in context.run.manifest("tokens").parts]
    jobs = []
    for domain in context.recipe.domains:
        order = None if heldout else row_order(context.recipe, domain)
        if order:
            jobs.append(_ordered_job(context, stage, layout, order))
            continue
        key = job_key(stage.name, stage.spec.version, tokens, domain=domain, layout=asdict(layout), **options)
        arguments = {"tokens": context.refs("tokens", "tokens.parquet"), "domain": domain, "layout": layout, **options}
        jobs.append(Job(stage.name, key, pack_domain, arguments))
    manifest = context.compute(stage.name, jobs)
    for domain, receipt in zip(context.recipe.domains, manifest.parts, strict=True):
        context.place(f"{stage.name}/{domain}", receipt)
    return manifest


def _ordered_job(context: RunContext, stage: Instance, layout: "Layout", order: "RowOrder") -> Job:
    """One domain in buckets."""
    from gristmill.tokenizer.row_buckets import pack_ordered

    options = {"vocab_size": tokenizer_facts(context).vocab_size}
    stored, keys = stored_for(context, order)
    inputs = [*(part.key for part in context.run.manifest("tokens").parts), *keys]
    plain = {"order": asdict(order), "layout": asdict(layout), **options}
    arguments = {"tokens": context.refs("tokens", "tokens.parquet"), "order": order, "stored": stored, "layout": layout}
    key = job_key(stage.name, stage.spec.version, inputs, **plain)
    return Job(stage.name, key, pack_ordered, {**arguments, **options})


def plan_mixture(context: RunContext, stage: Instance) -> Manifest:
    """The curriculum compiled into the exact order of rows."""
    from gristmill.mixing.compile import RowsInOrder, plan_stage
    from gristmill.mixing.feasibility import EpochCaps

    refuse_forbidden(context)
    packed = context.run.manifest("shards")
    if not packed.rows:
        raise PlanError(f"there is nothing to plan: {_why_no_row(context.run)}")
    caps = EpochCaps(**context.recipe.mixing.caps.model_dump())
    options = {
        "phases": phases_of(context.recipe),
        "row_tokens": context.recipe.shards.row_tokens,
        "seed": context.seed("plan"),
        "caps": caps,
    }
    plain = options | {"phases": [asdict(phase) for phase in options["phases"]], "caps": asdict(caps)}
    order = RowsInOrder(paces_of(context.recipe), context.recipe.mixing.window_rows)
    if order != RowsInOrder():
        plain["order"] = asdict(order)
        options["order"] = order
    key = job_key("plan", stage.spec.version, packed.key, **plain)
    shards = {domain: Ref(part, "") for domain, part in zip(context.recipe.domains, packed.parts, strict=True)}
    manifest = context.compute("plan", [Job("plan", key, plan_stage, {"shards": shards, **options})])
    context.compare(f"plan/{PIECES_FOLDER}", context.known_parts("pieces"))  # they go with the folder that lies there
    context.place("plan", manifest.parts[0])
    return manifest


def phases_of(recipe: Recipe) -> "list[Phase]":
    """The curriculum in plain values, shares of tuned files read in; those named after what there is stay names."""
    from gristmill.mixing.curriculum import Phase
    from gristmill.mixing.named_shares import tuned_shares

    found = []
    for phase in recipe.curriculum:
        if phase.tuned_file:
            shares, named = tuned_shares(Path(phase.tuned_file), recipe.sources_by_domain), ""
        else:
            shares, named = {} if phase.named else phase.shares, phase.named
        found.append(Phase(phase.until_tokens, shares, phase.shape, named))
    return found


def index_pieces(context: RunContext, stage: Instance) -> Manifest:
    """From each document to its rows, one index for each domain; it depends on the rows alone."""
    from gristmill.mixing.compile import pieces_stage

    jobs = []
    for domain, rows in zip(context.recipe.domains, context.run.manifest("shards").parts, strict=True):
        key = job_key(stage.name, stage.spec.version, rows.key, domain=domain)
        jobs.append(Job(stage.name, key, pieces_stage, {"shards": Ref(rows, ""), "domain": domain}))
    manifest = context.compute(stage.name, jobs)
    context.place(f"plan/{PIECES_FOLDER}", *manifest.parts)
    return manifest


def _why_no_row(run: RunDir) -> str:
    """Which stage took the last document, and the key that decides it."""
    kept, encoded = run.manifest("decide").rows, run.manifest("tokens").rows
    if not kept:
        return (
            "no document was kept; loosen [decide] or add sources. What rules dropped: "
            f"`gristmill samples {run.path} --dropped`"
        )
    if not encoded:
        return (
            f"cuts left no text of the {kept:,} kept documents; see what they cut with "
            f"`gristmill samples {run.path} --kept`, and cut less in [line_edits], [dedup.lines] or [dedup.substrings]"
        )
    return (
        f"all of the {encoded:,} kept documents are held out from training (shards.heldout); "
        "add documents, set shards.heldout lower, or to 0"
    )


def tokenizer_facts(context: RunContext) -> TokenizerFacts:
    """What the tokenizer really has: small corpora do not fill the size asked for, 0.1.0 named no padding."""
    return read_facts(TokenizerFacts, context.run.manifest("tokenizer").parts[0].facts)


def _with_kept(context: RunContext, kept: Sequence[pa.Table]):  # noqa: ANN202  pairs of receipt and table
    return zip(context.run.manifest("documents").parts, kept, strict=True)
