"""Checks of a finished training: its files, the labels of its rows, and what its steps got of them."""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import DamagedFileError
from gristmill.corpus.files import read_json
from gristmill.corpus.tables import read_part
from gristmill.flows.inspect.run_check import Check
from gristmill.flows.inspect.shard_rows import DomainRows
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.training_receipt import DONE, differs, read_done

DOCUMENTS_AT_ONCE = 1 << 20  # ids and sources that are in memory, about 100 MB
SHOWN = 3  # problems written out; the others are counted
WITHOUT_DIGESTS = "1"  # version of the stage train that logged no digests; that of 0.1.0 as well
LOSS_TOLERANCE = 1e-5  # relative: a step's loss is a float32 mean, the log adds up in float64


def shown(problems: list[str]) -> str:
    """The first problems, and how many more there are.

    >>> shown(["a", "b", "c", "d"])
    'a; b; c; and 1 more'
    """
    more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "; ".join([*problems[:SHOWN], *more])


def check_train_files(context: RunContext) -> Iterator[Check]:
    """Every file of train/ has the bytes of its receipt: checkpoints, optimizer, metrics, logs, summary."""
    if not context.run.has("train"):
        return
    folder = context.run.path / "train"
    try:
        receipt = read_done(folder)
    except DamagedFileError as error:
        yield Check("receipts train", False, str(error))
        return
    if receipt is None or receipt.key != context.run.manifest("train").parts[0].key:
        wrong = "is missing" if receipt is None else "is of another training"
        yield Check("receipts train", False, f"{folder / DONE} {wrong}; `gristmill train` the run")
    elif receipt.files is None:
        yield Check("receipts train", _logs_no_digests(context), "an earlier version kept none; train again for them")
    else:
        problems = [problem for file in receipt.files if (problem := differs(folder, file))]
        yield Check("receipts train", not problems, shown(problems) or f"{len(receipt.files)} files")


def _logs_no_digests(context: RunContext) -> bool:
    lock = context.run.brief_lock
    return lock.format == 1 or lock.stages.get("train") == WITHOUT_DIGESTS


def check_consumption(context: RunContext) -> Iterator[Check]:
    """Each step got the rows of the plan, to the token: digests of its tensors against the shards."""
    if not context.run.has("train"):
        return
    from gristmill.flows.inspect.consumed_digests import compare

    run = context.run.path
    log = read_part(run / "train" / "consumption.parquet")
    if "digest" not in log.column_names:
        yield from _check_without_digests(context, log)
        return
    found = compare(run, log)
    number = log["domain"].to_numpy()
    for place, name in enumerate(found.names):
        got, planned = int(log["tokens"].to_numpy()[number == place].sum()), found.tokens.get(place, 0)
        yield Check(f"consumption {name}", got == planned, f"{got} tokens consumed, {planned} planned")
    yield Check("consumption in order", not found.order, shown(found.order) or f"{log.num_rows} rows as planned")
    detail = shown(found.content) or f"{log.num_rows} rows: the steps' tensors are the shards' rows"
    yield Check("consumption digests", not found.content, detail)
    wrong = [*wrong_metrics(run / "train" / "metrics.parquet", log), *_wrong_summary(run / "train", log)]
    yield Check(
        "consumption metrics", not wrong, shown(wrong) or "tokens and losses of the steps are those of the rows"
    )


def wrong_metrics(path: Path, log: pa.Table) -> Iterator[str]:
    """Steps whose tokens or loss are not those of their rows."""
    metrics = read_part(path, ["step", "tokens", "loss"])
    steps = metrics["step"].to_numpy()
    if not np.array_equal(steps, np.unique(log["step"].to_numpy())):
        yield f"metrics.parquet has {len(steps)} steps, the log others"
        return
    of = np.searchsorted(steps, log["step"].to_numpy())
    tokens, targets, nats = (np.bincount(of, weights=log[name].to_numpy()) for name in ("tokens", "targets", "nats"))
    loss = metrics["loss"].to_numpy()
    mean = nats / np.maximum(targets, 1)
    for at in np.flatnonzero((tokens != metrics["tokens"].to_numpy()) | ~np.isclose(loss, mean, rtol=LOSS_TOLERANCE)):
        rows = f"its rows {int(tokens[at])} tokens and a mean loss of {mean[at]:.6f}"
        yield f"step {steps[at]} logged {metrics['tokens'][at]} tokens and a loss of {loss[at]:.6f}, {rows}"


def _wrong_summary(train: Path, log: pa.Table) -> Iterator[str]:
    """The tokens that summary.json, and with it the card, states."""
    stated, got = read_json(train / "summary.json")["tokens"], int(pc.sum(log["tokens"]).as_py() or 0)
    if stated != got:
        yield f"summary.json states {stated} tokens, the steps got {got}"


def _check_without_digests(context: RunContext, log: pa.Table) -> Iterator[Check]:
    """A training of an earlier version says which rows it asked for, and nothing of what it got."""
    from gristmill.handoff.audit import consumed, differences
    from gristmill.handoff.plan import Plan

    run = context.run.path
    rows = Counter(log["domain"].to_pylist())
    for name, planned in consumed(run, Plan.load(run / "plan").samples).items():
        yield Check(f"consumption {name}", rows[name] == planned, f"{rows[name]} rows asked for, {planned} planned")
    problems = differences(run, log)
    detail = "as planned; what the steps got, an earlier version did not log: train again for it"
    yield Check("consumption in order", _logs_no_digests(context) and not problems, "; ".join(problems) or detail)


def check_labels(context: RunContext) -> Iterator[Check]:
    """Every document of every row is of a source to which the recipe gives the row's domain.

    Documents are looked up by the first characters of their doc_ids, so that some of them are in memory at a time.
    """
    if not context.run.has("shards"):
        return
    wrong: dict[str, list[_Wrong]] = {domain: [] for domain in context.recipe.domains}
    stages = [stage for stage in ("shards", "heldout") if context.run.has(stage)]
    for begin in _beginnings(context.run.manifest("documents").rows):
        documents = _documents(context, begin)
        for domain, found in wrong.items():
            found += [one for stage in stages for one in _mislabelled(context, stage, domain, documents, begin)]
    for domain, found in wrong.items():
        texts = [
            one.text for one in sorted(found, key=lambda one: (stages.index(one.stage), one.step or np.inf, one.row))
        ]
        yield Check(f"labels {domain}", not found, shown(texts) or "every row is of the domain of its sources")


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A document in rows of another domain than its source's."""

    stage: str
    step: int | None  # the first that saw it
    row: int
    text: str


def _beginnings(n_documents: int) -> list[str]:
    """Beginnings of doc_ids, as many as make at most DOCUMENTS_AT_ONCE documents of each.

    >>> _beginnings(1000), len(_beginnings(20_000_000))
    ([''], 256)
    """
    n_chars = 0
    while n_documents > DOCUMENTS_AT_ONCE * 16**n_chars:
        n_chars += 1
    return ["".join(chars) for chars in itertools.product("0123456789abcdef", repeat=n_chars)]


def _documents(context: RunContext, begin: str) -> pa.Table:
    """doc_id and source of the documents whose doc_id begins so."""
    parts = range(len(context.run.manifest("documents").parts))
    paths = [context.file("documents", "documents.parquet", part) for part in parts]
    tables = (read_part(path, ["doc_id", "source"]) for path in paths)
    return pa.concat_tables([one.filter(pc.starts_with(one["doc_id"], begin)) for one in tables]).combine_chunks()


def _mislabelled(context: RunContext, stage: str, domain: str, documents: pa.Table, begin: str) -> list[_Wrong]:
    """Documents in a domain's rows that are of another domain's source."""
    domains = {source.name: source.domain for source in context.recipe.sources}
    right = pa.array([name for name in domains if domains[name] == domain], pa.string())
    row, ids = DomainRows(context.run.path / stage / domain).documents(begin)
    source = documents["source"].take(pc.index_in(ids, documents["doc_id"]))
    wrong = np.flatnonzero(pc.invert(pc.is_in(source, right)).to_numpy())
    steps = _first_steps(context, domain, row[wrong]) if stage == "shards" else [None] * len(wrong)
    return [
        _Wrong(
            stage,
            step,
            int(row[i]),
            f"{f'step {step}: ' if step else ''}row {row[i]} of {stage}/{domain}: document {ids[i]} is of source "
            f"{source[i]}, whose domain is {domains.get(source[i].as_py(), 'unknown')}",
        )
        for step, i in zip(steps, wrong.tolist(), strict=True)
    ]


def _first_steps(context: RunContext, domain: str, rows: np.ndarray) -> list[int | None]:
    """The first step that saw each row; None where none did."""
    path = context.run.path / "train" / "consumption.parquet"
    if not len(rows) or not context.run.has("train"):
        return [None] * len(rows)
    log = read_part(path, ["step", "domain", "row"])
    place = context.recipe.domains.index(domain) if pa.types.is_integer(log["domain"].type) else domain
    mine = log.filter(pc.equal(log["domain"], place))
    first = dict(zip(mine["row"].to_pylist()[::-1], mine["step"].to_pylist()[::-1], strict=True))
    return [first.get(row) for row in rows.tolist()]
