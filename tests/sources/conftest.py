"""Reading in one line: ``read(paths)`` gives the outcome, the documents and the rejects, and checks the laws."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
import xxhash

from gristmill.corpus.account import check_conservation
from gristmill.corpus.schema import DOCUMENTS, REJECTS
from gristmill.corpus.tables import read_part as read_table
from gristmill.sources.listing import list_files
from gristmill.sources.read import ReadSpec, read_part


@dataclass
class Result:
    outcome: Any
    documents: pa.Table
    rejects: pa.Table

    @property
    def texts(self):
        return self.documents.column("text").to_pylist()

    @property
    def locators(self):
        return self.documents.column("locator").to_pylist()

    @property
    def reasons(self):
        return dict(
            zip(self.rejects.column("locator").to_pylist(), self.rejects.column("reason").to_pylist(), strict=True)
        )

    def column(self, name):
        return self.documents.column(name).to_pylist()


def check_laws(result, spec):
    """What holds whatever was read."""
    account = result.outcome.accounts[spec.name]
    check_conservation("documents", result.outcome.accounts)
    assert result.documents.schema.equals(DOCUMENTS)
    assert result.rejects.schema.equals(REJECTS)
    assert account.documents_kept == result.outcome.rows == len(result.documents)
    assert account.documents_dropped == len(result.rejects)
    assert account.bytes_dropped == sum(result.rejects.column("bytes").to_pylist())
    facts = result.outcome.facts
    assert sum(facts["rejects"].values()) + sum(facts["skipped"].values()) == len(result.rejects)
    assert facts["text_bytes"] == sum(len(text.encode()) for text in result.texts)
    for name in ("locator", "doc_id"):
        assert len(set(result.column(name))) == len(result.documents)
    for doc_id, locator, text, text_hash in zip(
        *map(result.column, ("doc_id", "locator", "text", "text_hash")), strict=True
    ):
        assert doc_id == xxhash.xxh3_128_hexdigest(f"{spec.name}\x1f{locator}".encode())
        assert text_hash == xxhash.xxh3_128_hexdigest(text.encode())
        assert text
        assert "\0" not in text
    assert all(len(head) <= 512 for head in result.rejects.column("head").to_pylist())


@pytest.fixture
def read(tmp_path):
    """read(path or paths, format=None, readers of plug-ins, **ReadSpec fields)."""
    count = iter(range(1000))

    def run(paths, format_=None, extra=(), place=None, **fields):
        spec = ReadSpec(fields.pop("name", "s"), fields.pop("domain", "web"), **fields)
        folder = tmp_path / f"out{next(count)}"
        folder.mkdir()
        names = [str(path) for path in (paths if isinstance(paths, list) else [paths])]
        outcome = read_part(list_files(names, format_, source="s", extra=extra), spec, folder, extra, place)
        result = Result(outcome, read_table(folder / "documents.parquet"), read_table(folder / "rejects.parquet"))
        check_laws(result, spec)
        return result

    return run
