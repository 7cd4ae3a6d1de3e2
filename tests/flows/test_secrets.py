"""A credential in an address of an input is nowhere in a home, whatever the field; text alone stays as it is."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.flows.direct import refine_directly
from gristmill.flows.pipeline.recipe_reading import parse_recipe

SECRET = "xSECRETx9x"
SIGNED = f"https://h.example/x?a=1&X-Amz-Signature={SECRET}"
RECIPE = """
name = "addresses"
seed = 1
[[sources]]
name = "notes"
path = "{folder}/notes.jsonl"
domain = "web"
[[sources]]
name = "table"
path = "{folder}/table.parquet"
domain = "web"
[[sources]]
name = "pages"
path = "{folder}/pages.warc"
domain = "web"
[[curriculum]]
until_tokens = 320
shares = {{ web = 1 }}
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 32
heldout = 0
"""
HEADER = "WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{n}>\r\nWARC-Date: 2020-01-01T00:00:00Z\r\n"
HTTP = "HTTP/1.1 {status}\r\nContent-Type: text/html\r\n\r\n<html><head><link rel=canonical href='{url}'></head>"


def record(n: int, url: str, status: str) -> str:
    text = f"{HTTP.format(status=status, url=url)}<p>Page {n} has words enough to be a page of its own."
    return f"{HEADER.format(n=n)}WARC-Target-URI: {url}\r\nContent-Length: {len(text)}\r\n\r\n{text}\r\n\r\n"


def notes() -> list[dict]:
    forms = [SIGNED, f"s3://AKIA:{SECRET}@b/x", f"https://me:{SECRET}@h.example/", f"https://{SECRET}@h.example/a"]
    forms += [f"https://h/x?token={SECRET}", f"https://h/x?sv=1&sig={SECRET}", f"https://h/#access_token={SECRET}"]
    rows = [{"id": n, "url": form, "license": form, "from": {"page": [form]}} for n, form in enumerate(forms)]
    return [row | {"text": f"Note {n} tells of mills and of millers, once more."} for n, row in enumerate(rows)]


@pytest.fixture
def everything(tmp_path: Path, home: Path) -> str:
    """All bytes of the home after a run, and the values of its tables."""
    rejected = [json.dumps({"url": SIGNED, "text": None}), f'{{"url": "{SIGNED}", "text": ', json.dumps([SIGNED])]
    rejected += [f'{{"{"-" * n}": "https://me:{SECRET}@h.example/"' for n in range(470, 515, 4)]  # cut within it
    lines = [*map(json.dumps, notes()), *rejected]
    (tmp_path / "notes.jsonl").write_text("".join(line + "\n" for line in lines))
    pq.write_table(pa.Table.from_pylist(notes()), tmp_path / "table.parquet")
    pages = [record(n, SIGNED, "200 OK" if n % 2 else "404 Not Found") for n in range(6)]
    (tmp_path / "pages.warc").write_text("".join(pages))
    (tmp_path / "recipe.toml").write_text(RECIPE.format(folder=tmp_path))
    refine_directly(tmp_path / "recipe.toml")
    files = [path for path in home.rglob("*") if path.is_file()]
    tables = [str(pq.read_table(path).to_pylist()) for path in files if path.suffix == ".parquet"]
    return "".join([*tables, *(path.read_bytes().decode("latin-1") for path in files)])


def test_no_file_of_a_home_holds_a_credential_of_an_address(everything):
    assert "h.example" in everything
    assert everything.count("REDACTED") > 20
    assert SECRET[:4] not in everything


@pytest.mark.parametrize("line", [f'path = "https://me:{SECRET}@h/a.jsonl"', f'path = "a"\nlicense = "{SIGNED}"'])
def test_a_recipe_with_a_credential_is_refused_by_its_key(line):
    text = f'name = "a"\nseed = 1\n[[sources]]\nname = "s"\ndomain = "web"\n{line}\n'
    key = "license" if "license" in line else "path"
    with pytest.raises(RecipeError, match=rf"sources\.s?0?\.?{key}|sources.*{key}") as caught:
        parse_recipe(text)
    assert SECRET not in str(caught.value)
