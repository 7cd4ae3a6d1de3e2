"""Reading a graph of another form into entities.parquet and triples.parquet, with an account of every line."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gristmill.corpus.errors import SourceError
from gristmill.corpus.receipt import Outcome
from gristmill.knowledge.graph_source import TABLES, Read
from gristmill.knowledge.graph_tables import GraphAccount, GraphTables
from gristmill.knowledge.grouped_statements import group_statements
from gristmill.knowledge.ntriples import statements_of
from gristmill.knowledge.stage import GraphFacts
from gristmill.knowledge.table_graph import read_entity_table, read_triple_table
from gristmill.knowledge.wikidata_dump import read_dump


def read_graph(files: Sequence[Path], form: str, options: Read, folder: Path) -> Outcome:
    """Write the tables of a graph into ``folder``; facts: ``GraphFacts``.

    Parameters
    ----------
    files : as ``graph_source.files_of`` lists them
    form : wikidata, ntriples, csv, tsv or parquet

    Raises
    ------
    SourceError : a file cannot be read, or nothing in it is an entity: it is of another form
    SchemaError : a table lacks a column
    ConservationError : a line is neither used nor counted
    """
    account = GraphAccount()
    with GraphTables(folder) as tables:
        if form == "wikidata":
            for path in files:
                read_dump(path, options, tables, account)
        elif form == "ntriples":
            statements = (one for path in files for one in statements_of(path, account))
            group_statements(statements, options, folder, tables, account)
        else:
            _read_tables(files, form, options, tables, account)
        rows = tables.n_entity_rows
    account.check(files[0])
    if not rows:
        raise SourceError(_nothing(files[0], form, account))
    return Outcome(rows, facts=asdict(_facts(account, rows)))


def _read_tables(files: Sequence[Path], form: str, options: Read, tables: GraphTables, account: GraphAccount) -> None:
    *triples, entities = files
    known = read_entity_table(entities, _form_of(entities, form), options, tables, account)
    for path in triples:
        read_triple_table(path, form, options, known, tables, account)


def _form_of(path: Path, form: str) -> str:
    """Entities may stand in a table of another kind than the triples."""
    from gristmill.knowledge.graph_source import format_of

    found = format_of(str(path), None)
    return found if found in TABLES else form


def _facts(account: GraphAccount, rows: int) -> GraphFacts:
    return GraphFacts(
        lines=account.lines,
        used_lines=account.used_lines,
        entity_rows=rows,
        triples=account.triples,
        left_out=dict(sorted((name, n) for name, n in account.left_out.items() if n)),
        statements_left_out=dict(sorted((name, n) for name, n in account.statements_left_out.items() if n)),
        malformed=tuple(account.examples),
    )


def _nothing(path: Path, form: str, account: GraphAccount) -> str:
    reasons = ", ".join(f"{n} {name}" for name, n in account.left_out.most_common(3))
    first = f"; first: {account.examples[0]}" if account.examples else ""
    return (
        f"knowledge.graph: {path}, read as {form}, holds no entity "
        f"({account.lines} lines: {reasons or 'empty'}{first}); "
        "set knowledge.read.format, or loosen knowledge.read.languages and knowledge.read.types"
    )
