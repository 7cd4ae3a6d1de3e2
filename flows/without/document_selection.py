"""Which documents of a run are to be left out: by source, domain, licence, language, or by a list of doc_ids."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import RecipeError, SourceError, UnknownNameError
from gristmill.corpus.own_files import read_own_lines
from gristmill.flows.inspect.id_prefixes import id_named
from gristmill.flows.without.selection_keys import DocumentSelection

UNSTATED = "unknown"  # names documents without a licence, or without a known language


def chosen_rows(selection: DocumentSelection, documents: pa.Table) -> np.ndarray:
    """bool[n_docs]: the documents that are chosen.

    Parameters
    ----------
    documents : doc_id, source, domain, license, lang_id of all documents of a run

    Raises
    ------
    RecipeError : no key is given
    UnknownNameError : a value that no document has
    SourceError : the file of ids cannot be read, or names no document
    """
    columns = {
        "source": selection.source,
        "domain": selection.domain,
        "license": selection.license,
        "lang_id": selection.lang,
    }
    tests = [_any_of(documents[name], values, name) for name, values in columns.items() if values]
    tests += [_listed(documents["doc_id"], selection.ids)] if selection.ids is not None else []
    if not tests:
        raise RecipeError("name what to leave out: --source, --domain, --license, --lang or --ids FILE")
    return np.logical_and.reduce(tests)


def _any_of(column: pa.ChunkedArray, values: Sequence[str], name: str) -> np.ndarray:
    stated = column.fill_null(UNSTATED)
    known = pc.unique(stated).to_pylist()
    for value in values:
        if value not in known:
            raise UnknownNameError(f"{name.removesuffix('_id')} of this run", value, known)
    return pc.is_in(stated, pa.array(values, stated.type)).to_numpy()


def _listed(doc_ids: pa.ChunkedArray, file: Path) -> np.ndarray:
    try:
        names = sorted(set(read_own_lines(file)))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"--ids {file}: {error}; expected a text file with one doc_id per line") from None
    if not names:
        raise SourceError(f"--ids {file} names no document; expected one doc_id per line")
    known = doc_ids.to_pylist()
    short = sorted(set(names).difference(known))
    whole = [*set(names).difference(short), *(id_named("document", name, known) for name in short)]
    return pc.is_in(doc_ids, pa.array(whole, doc_ids.type)).to_numpy()
