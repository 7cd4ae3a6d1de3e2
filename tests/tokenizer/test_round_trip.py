"""From documents to rows and back: every text of the samples, its conversations among them, byte for byte."""

import gzip
import json

import pyarrow.parquet as pq
import pytest
import zstandard

from gristmill.tokenizer.encode import TOKENS, encode_part
from gristmill.tokenizer.own_tokenizer import take_tokenizer
from gristmill.tokenizer.pack import Layout, pack_domain
from gristmill.tokenizer.stage import Tokenizer
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from gristmill.tokenizer.tokenizer_json import TOKENIZER
from tests.tokenizer.conftest import SAMPLES
from tests.tokenizer.own_tokenizers import PATTERN_FILES
from tests.tokenizer.test_pack_domain import rows_of

OPENERS = {".gz": gzip.open, ".zst": zstandard.open, ".jsonl": open}
PLAIN = ("books", "chat", "code", "docs", "forum", "instructions", "legal", "math", "web")


def strings(value):
    """All texts in a record, however deep: what people wrote, and names of roles."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in inner for text in strings(one)]


@pytest.fixture(scope="module")
def texts():
    found = []
    for path in sorted(path for name in PLAIN for path in (SAMPLES / name).glob("*.parquet")):
        found += pq.read_table(path, columns=["text"])["text"].to_pylist()
    for path in sorted(path for name in PLAIN for path in (SAMPLES / name).glob("*.jsonl*")):
        with OPENERS[path.suffix](path, "rt", encoding="utf-8") as file:
            found += ["\n".join(strings(json.loads(line))) for line in file if line.strip()]
    return [text for text in found if text.strip()]


@pytest.mark.parametrize("name", ["llama3"])
def test_every_document_of_the_samples_comes_back_from_its_rows(texts, mill, tmp_path, name):
    PATTERN_FILES[name]().save(str(tmp_path / "own.json"))
    for folder in ("run", "tokens", "rows"):
        (tmp_path / folder).mkdir()
    take_tokenizer(tmp_path / "own.json", tmp_path / "run", section=Tokenizer(path="own.json"))
    documents = mill.documents(texts)
    path = mill.write(tmp_path / "part.parquet", documents)
    facts = encode_part(path, mill.kept(documents), tmp_path / "run" / TOKENIZER, tmp_path / "tokens").facts
    assert facts["engine"] == "kernels"
    assert sum(one["changed"] for one in facts["counts"]) == 0
    layout = Layout(row_tokens=4096, shard_rows=500, batch_rows=64)
    where = {"domain": "web", "heldout": False, "vocab_size": facts["vocab_size"], "layout": layout}
    pack_domain([tmp_path / "tokens" / TOKENS], tmp_path / "rows", **where)
    tokens, lists = rows_of(tmp_path / "rows")
    pieces = {}
    for row, held in enumerate(lists):
        for one in held:
            ids = tokens[row, one["start"] : one["start"] + one["length"]].tolist()
            pieces.setdefault(one["doc_id"], {})[one["offset"]] = ids
    text = TextTokenizer(tmp_path / "run" / TOKENIZER)
    whole = {name: [i for _, ids in sorted(found.items()) for i in ids] for name, found in pieces.items()}
    expected = dict(zip(documents["doc_id"].to_pylist(), texts, strict=True))
    assert whole.keys() == expected.keys()
    assert all(ids[-1] == text.end_id for ids in whole.values())
    wrong = [name for name, ids in whole.items() if text.decode(ids[:-1]) != expected[name]]
    assert not wrong
