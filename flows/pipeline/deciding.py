"""The work of the stage ``decide``: the columns of all parts gathered, decided and weighed. No text is read.

Its job is planned in ``judge``; the rules of verdicts stand in ``gristmill.filters.decide``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.facts import facts_json
from gristmill.corpus.languages import primary_subtags
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.tables import WRITTEN, read_part
from gristmill.corpus.use_policy import UsePolicy
from gristmill.filters.decide.stage import DecideFacts, Reviewed
from gristmill.flows.pipeline.signal_tables import signal_columns
from gristmill.flows.pipeline.weighing import Weighing, weigh

if TYPE_CHECKING:
    from gristmill.filters.decide.quotas import Quotas
    from gristmill.filters.decide.rules import Rule
    from gristmill.filters.decide.verdicts import Decision
    from gristmill.filters.decide.weights import Curve


Files = Sequence[Any]  # a path of each part; a ``Ref`` until a worker has found it


class Tables(NamedTuple):
    """Files that documents are judged by; a stage that the run lacks has none."""

    documents: Files
    signals: Sequence[Files]  # of each stage that measures; the first has ``bytes``
    clusters: Files
    language: Files = ()
    passages: Files = ()  # evaluation items found, of the stage contamination
    main_types: Files = ()  # of the stage mentions, where types move documents to other domains
    types: Files = ()  # of the same stage, where types have quotas


class Judging(NamedTuple):
    """What decides which documents are kept; see ``gristmill.filters.decide.verdicts.decide``."""

    rules: "Mapping[str, tuple[Rule, ...]]"  # by domain
    priorities: Mapping[str, int]  # by source
    heldout: float  # share of kept documents, 0 to 1
    seed: int  # chooses them
    policy: UsePolicy = UsePolicy()
    decisions: Path | None = None  # what people decided, decisions.jsonl


class Moving(NamedTuple):
    """What becomes of kept documents: the domains that types move them to, and how often they are drawn."""

    type_domains: Mapping[str, Sequence[str]]  # types by domain
    curves: "Mapping[str, Curve]"  # by domain
    quotas: "Quotas | None" = None


AS_THEY_ARE = Moving({}, {})


def decide_stage(tables: Tables, judging: Judging, folder: Path, moving: Moving = AS_THEY_ARE) -> Outcome:
    """Gather the columns of all parts, decide, and write ledger.parquet and kept.parquet; facts: ``DecideFacts``."""
    from gristmill.filters.decide.contaminated_items import with_items
    from gristmill.filters.decide.decisions import count_reviewed

    licenses = bool(judging.policy.forbid_licenses)
    asked = Weighing(moving.curves, moving.quotas, tables.types)
    measured = signal_columns(tables.signals, {"bytes"} | _signals_asked(judging.rules, asked))
    columns = document_columns(tables.documents, measured["bytes"], tables.language, licenses=licenses)
    decision, n_stale = _decided(columns, measured, tables, judging)
    kept = in_type_domains(decision.kept, tables.main_types, moving.type_domains)
    kept, weights, quotas = weigh(kept, columns, measured, asked)
    for name, table in {"ledger": with_items(decision.ledger, tables.passages), "kept": kept}.items():
        pq.write_table(table, folder / f"{name}.parquet", **WRITTEN)
    facts = DecideFacts(
        reviewed=Reviewed(**count_reviewed(decision.ledger), stale=n_stale),
        languages_by="stage" if tables.language else "record",
        no_language=pc.sum(columns["no_language"]).as_py() or 0,
        judges=decision.reach.judges,
        passed_over=decision.reach.passed_over,
        weights=weights,
        quotas=quotas,
    )
    return Outcome(decision.kept.num_rows, decision.accounts, facts_json(facts))


def _decided(columns: pa.Table, measured: pa.Table, tables: Tables, judging: Judging) -> "tuple[Decision, int]":
    """The decision, and how many of people's decisions were made on another text."""
    from gristmill.filters.decide.verdicts import decide

    decided, stale = standing_decisions(judging.decisions, tables.documents) if judging.decisions else (None, None)
    decision = decide(
        columns,
        measured,
        pa.concat_tables([read_part(path) for path in tables.clusters]),
        judging.rules,
        priorities=judging.priorities,
        heldout=judging.heldout,
        seed=judging.seed,
        decisions=decided,
        policy=judging.policy,
    )
    return decision, stale.num_rows if stale else 0


def _signals_asked(rules: "Mapping[str, Sequence[Rule]]", asked: Weighing) -> set[str]:
    """Signals that a rule or a curve of weights reads."""
    judging = {rule.signal for chosen in rules.values() for rule in chosen}
    return judging | {curve.signal for curve in asked.curves.values()}


def in_type_domains(kept: pa.Table, main_types: Sequence[Path], type_domains: Mapping[str, Sequence[str]]) -> pa.Table:
    """The kept documents in the domains that [knowledge.domains] gives to their main types.

    Parameters
    ----------
    main_types : the table of the stage mentions of every part
    """
    from gristmill.filters.decide.type_domains import with_type_domains

    if not type_domains:
        return kept
    tables = [read_part(path, ["doc_id", "main_type"]) for path in main_types]
    return with_type_domains(kept, pa.concat_tables(tables), type_domains)


def standing_decisions(decisions: Path, documents: Sequence[Path]) -> tuple[pa.Table, pa.Table]:
    """People's decisions that apply to these documents, and those made on another text."""
    from gristmill.filters.decide.decisions import read_decisions, split_stale

    decided = read_decisions(decisions)
    columns = {
        "columns": ["doc_id", "text_hash"],
        "filters": pc.field("doc_id").isin(decided["doc_id"].combine_chunks()),
    }
    return split_stale(decided, pa.concat_tables([pq.read_table(path, **columns) for path in documents]))


def document_columns(
    documents: Sequence[Path], n_bytes: pa.ChunkedArray, language: Sequence[Path], *, licenses: bool = False
) -> pa.Table:
    """doc_id, source, domain, lang_id, no_language, bytes, part and row of every document, in order; no text.

    lang_id is the primary subtag that the language stage found, where the run has one, else that of the document's own
    tag; null where there is none. no_language: a tag is there, and names no language. With ``licenses`` license
    as well.

    Parameters
    ----------
    documents, language : a file of every part; no language where the run has no such stage
    n_bytes : double[n_docs], the signal ``bytes`` of every document, see ``text_bytes``
    """
    shown = ["doc_id", "source", "domain", *(["license"] if licenses else [])]
    parts = [read_part(path, shown if language else [*shown, "lang"]) for path in documents]
    table = pa.concat_tables(parts)
    stated = (
        pa.concat_tables([read_part(path, ["lang_id"]) for path in language])["lang_id"] if language else table["lang"]
    )
    lang_id, no_language = primary_subtags(stated)
    n_rows = [len(one) for one in parts]
    rows = np.arange(len(table)) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
    beside = {
        "lang_id": lang_id,
        "no_language": no_language,
        "bytes": n_bytes.cast(pa.int64()),
        "part": pa.array(np.repeat(np.arange(len(parts), dtype=np.int32), n_rows)),
        "row": pa.array(rows),
    }
    table = table.select(shown)
    for name, column in beside.items():
        table = table.append_column(name, column)
    return table


def text_bytes(signals: Sequence[Path]) -> pa.ChunkedArray:
    """The signal ``bytes`` of every document, double[n_docs], from the signals of every part."""
    return pa.concat_tables([read_part(path, ["bytes"]) for path in signals])["bytes"]
