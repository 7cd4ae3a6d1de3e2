"""A corpus without some documents: the answer from stored columns against a rerun, document by document.

The corpus and the selections are those of ``tests/flows/selected_corpus.py``, 100 of them here.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from gristmill.flows.without.corpus_without import corpus_without, documents_of
from gristmill.flows.without.document_selection import chosen_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for tests

from tests.flows.selected_corpus import differences, milled, rerun_without, selections, write_corpus


def main() -> None:
    """Print one line of JSON, or a sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="ignored: the corpus is made here")
    parser.add_argument("--quick", action="store_true", help="10 selections in place of 100")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    count = 10 if arguments.quick else 100
    equal, answered, reran, freed, elected = 0, 0.0, 0.0, 0, 0
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        os.environ["GRISTMILL_HOME"] = str(folder / "home")
        recipe = write_corpus(folder, 60)
        context = milled(recipe)
        documents = documents_of(context)
        kept = set(pq.read_table(context.file("decide", "kept.parquet"))["doc_id"].to_pylist())
        for number, selection in enumerate(selections(context, folder, count)):
            begin = time.process_time()
            removed = chosen_rows(selection, documents)
            answer = corpus_without(context, documents, removed)
            answered += time.process_time() - begin
            aside, begin = folder / f"again-{number}", time.process_time()
            aside.mkdir()
            gone = {one for one, out in zip(documents["doc_id"].to_pylist(), removed, strict=True) if out}
            rerun = rerun_without(recipe, aside, gone, context)
            reran += time.process_time() - begin
            wrong = differences(answer, rerun)
            equal += not wrong
            elected += bool(set(answer.kept["doc_id"].to_pylist()) - kept)
            freed += bool(answer.searched)
            if wrong:
                sys.stderr.write(f"selection {number} {selection}: {wrong}\n")
    row = {
        "work": "without, equal to a rerun document by document",
        "peer": "gristmill run on files that lack the documents",
        "unit": "CPU s",
        "selections": count,
        "equal": equal == count,
        "n_equal": equal,
        "with_new_representatives": elected,
        "with_new_cuts_searched": freed,
        "ours": round(answered, 2),
        "theirs": round(reran, 2),
        "ratio": round(reran / answered, 2),
    }
    sys.stdout.write(json.dumps(row) + "\n" if arguments.json else f"{row}\n")
    sys.exit(equal != count)


if __name__ == "__main__":
    main()
