"""Exported rows read back with the libraries that they are written for: every id, mask and border, and the rates.

    python bench/exports.py [--quick] [--json]

Mills two files of samples/ (one with --quick), exports mds, litdata and megatron, reads them in an environment of their
own (bench/peers/exports.txt) and holds what the libraries gave against the shards. ``ours`` and ``theirs`` are rows
written and rows read per CPU second: different work, so no ratio.
"""

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import HOUSE, Comparison, cpu_seconds, options, peak_rss_mb, run_peer, say
from gristmill.flows.direct import refine_directly
from gristmill.flows.export.export_run import export_run
from gristmill.flows.export.row_blocks import in_stored_order, open_domains
from gristmill.flows.export.row_part import RowBlock
from gristmill.flows.export.target import ExportOptions

RECIPE = """
name = "exports"
seed = 1
[[sources]]
name = "forum"
path = "samples/forum/fortunes.en.jsonl"
domain = "forum"
{more}
[tokenizer]
vocab_size = 4096
[shards]
row_tokens = 512
"""
MORE = '[[sources]]\nname = "docs"\npath = "samples/legal/state-of-the-union.parquet"\ndomain = "legal"\n'
PEERS = {"mds": "mosaicml-streaming", "litdata": "litdata", "megatron": "megatron-core"}


def digest_of_rows(blocks: list[RowBlock]) -> str:
    """What exports_read.py prints of rows."""
    digest = hashlib.sha256()
    for block in blocks:
        for tokens, counted, documents in zip(block.tokens, block.counted, block.documents.to_pylist(), strict=True):
            columns = [[one[name] for one in documents] for name in ("start", "length")]
            for values in (tokens, counted, *map(np.array, columns)):
                digest.update(values.astype("<i8").tobytes())
            digest.update(repr([one["doc_id"] for one in documents]).encode())
    return digest.hexdigest()


def digest_of_documents(blocks: list[RowBlock]) -> str:
    """The same of whole documents, in order of their first piece, domain by domain."""
    whole: dict[tuple[int, str], dict[int, np.ndarray]] = {}
    for block in blocks:
        for tokens, domain, documents in zip(block.tokens, block.domain.tolist(), block.documents, strict=True):
            for one in documents.as_py():
                pieces = whole.setdefault((domain, one["doc_id"]), {})
                pieces[one["offset"]] = tokens[one["start"] : one["start"] + one["length"]]
    first = {key: place for place, key in enumerate(_first_pieces(blocks))}
    digest = hashlib.sha256()
    for key in sorted(whole, key=first.__getitem__):
        digest.update(np.concatenate([ids for _, ids in sorted(whole[key].items())]).astype("<i8").tobytes())
    return digest.hexdigest()


def _first_pieces(blocks: list[RowBlock]):
    for block in blocks:
        for domain, documents in zip(block.domain.tolist(), block.documents.to_pylist(), strict=True):
            yield from ((domain, one["doc_id"]) for one in documents if one["offset"] == 0)


def main() -> None:
    """Export, read back, compare."""
    arguments = options(__doc__).parse_args()
    os.chdir(HOUSE)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRISTMILL_HOME"] = folder
        recipe = Path(folder) / "exports.toml"
        recipe.write_text(RECIPE.format(more="" if arguments.quick else MORE))
        run = Path(refine_directly(recipe, until="pieces")["run"])
        names = sorted(path.name for path in (run / "shards").iterdir())
        blocks = list(in_stored_order(open_domains(run / "shards", names)))
        for target, peer in PEERS.items():
            out = Path(folder) / target
            seconds, result = cpu_seconds(lambda t=target, o=out: export_run(run, t, o, ExportOptions()), 1)
            read = run_peer("exports", "exports_read.py", {"target": target, "folder": str(out / "train")})
            ours = digest_of_documents(blocks) if target == "megatron" else digest_of_rows(blocks)
            written = sum(file["rows"] for file in result["files"]) / seconds
            note = f"{read['rows']} samples, {read['tokens']} tokens"
            line = Comparison("export read back", peer, read["version"], "rows/CPU s", round(written),
                              round(read["rows"] / read["seconds"]), None, "equal", read["sha256"] == ours,
                              peak_rss_mb(), note)  # fmt: skip
            say(line, arguments.json)
            if not line.equal:
                sys.exit(f"{target}: {json.dumps(read)} is not {ours}")


if __name__ == "__main__":
    main()
