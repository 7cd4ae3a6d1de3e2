"""A small corpus whose sources copy each other, random selections of it, and the recipe run again without them.

Copies, near copies in chains and repeated lines stand in all five sources; selections are by source, domain, licence,
language and doc_id, half of them of sources that hold representatives and first copies. Tests take a few of them,
``bench/without.py`` 100.
"""

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from gristmill.flows.direct import refine_directly
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.open_context import read_run
from gristmill.flows.without.corpus_without import Corpus, documents_of
from gristmill.flows.without.selection_keys import DocumentSelection

SOURCES = ("archive", "blog", "crawl", "digest", "essays")
LICENSES, LANGUAGES = ("CC0", "CC-BY", None), ("en", "de", None)
RECIPE = """
name = "selections"
seed = 3
{sources}
[pii]
email = "mask"
[line_edits]
rules = ["c4"]
[decide.rules.words]
at_least = 8
[dedup.near]
threshold = 0.6
[dedup.lines]
min_chars = 20
[dedup.substrings]
min_tokens = 12
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 64
heldout = 0.1
"""
SOURCE = """[[sources]]
name = "{name}"
path = "{name}.jsonl"
domain = "{domain}"
priority = {priority}
"""


def write_corpus(folder: Path, per_source: int, seed: int = 0) -> Path:
    """Documents of few sentences: exact copies, near copies in chains, lines and runs of words shared by several."""
    draw = random.Random(seed)
    sentences = [" ".join(draw.choices([f"word{n}" for n in range(300)], k=16)) + "." for _ in range(12 * per_source)]
    shared, texts = sentences[:20], list[str]()
    for source in SOURCES:
        records = []
        for n in range(per_source):
            kind, lines = draw.random(), draw.sample(sentences[20:], 4)
            if kind < 0.2 and texts:
                lines = draw.choice(texts).split("\n")  # a copy of any source
            elif kind < 0.45 and texts:
                lines = draw.choice(texts).split("\n")[:-1] + draw.sample(sentences[20:], 1)  # a link of a chain
            elif kind < 0.8:
                lines.insert(draw.randrange(4), draw.choice(shared))
            elif kind < 0.9:
                lines = [" ".join(draw.sample(lines, 2)), *lines[:1]] if n % 2 else ["too short"]
            text = "\n".join([*lines, f"write to {source}{n}@mail.example"][: len(lines) + (n % 5 == 0)])
            texts.append(text)
            records.append({"text": text, "license": draw.choice(LICENSES), "lang": draw.choice(LANGUAGES)})
        lines = [json.dumps({key: value for key, value in one.items() if value}) + "\n" for one in records]
        (folder / f"{source}.jsonl").write_text("".join(lines))
    recipe = folder / "selections.toml"
    listed = [
        SOURCE.format(name=name, domain=f"d{place // 2}", priority=2 - place // 2) for place, name in enumerate(SOURCES)
    ]
    recipe.write_text(RECIPE.format(sources="".join(listed)))
    return recipe


def selections(context: RunContext, folder: Path, count: int, seed: int = 1) -> Iterator[DocumentSelection]:
    """Random selections; every second one takes a source with representatives and first copies, or a part of it."""
    draw, documents = random.Random(seed), documents_of(context)
    ledger = pl.read_parquet(context.file("decide", "ledger.parquet"))
    winners = set(ledger["other"].drop_nulls().to_list())
    owners = sorted(set(ledger.filter(pl.col("doc_id").is_in(list(winners)))["source"].to_list()))
    ids = documents["doc_id"].to_pylist()
    for number in range(count):
        file = folder / f"ids-{number}.txt"
        if number % 4 == 0:
            yield DocumentSelection(source=tuple(draw.sample(owners, draw.choice([1, 1, 2]))))
        elif number % 4 == 2:
            file.write_text("\n".join(draw.sample(sorted(winners), max(1, len(winners) // draw.choice([2, 3, 9])))))
            yield DocumentSelection(ids=file)
        elif number % 4 == 1:
            keys = {
                "domain": (f"d{draw.randrange(3)}",),
                "license": (draw.choice(["CC0", "CC-BY", "unknown"]),),
                "lang": (draw.choice(["en", "de", "unknown"]),),
            }
            yield DocumentSelection(**{name: keys[name] for name in draw.sample(sorted(keys), draw.choice([1, 2]))})
        else:
            file.write_text("\n".join(draw.sample(ids, draw.randint(1, len(ids) // 2))))
            yield DocumentSelection(ids=file)


def rerun_without(recipe: Path, folder: Path, gone: set[str], context: RunContext) -> RunContext:
    """The recipe on files whose chosen records are empty lines, so that the others keep their locators."""
    parts = [resolve(context.store, ref) for ref in context.refs("documents", "documents.parquet")]
    rows = [row for part in parts for row in pq.read_table(part, columns=["doc_id", "source", "locator"]).to_pylist()]
    chosen = [row for row in rows if row["doc_id"] in gone]
    places = {(row["source"], int(row["locator"].rpartition(":")[2])) for row in chosen}
    for source in SOURCES:
        lines = (recipe.parent / f"{source}.jsonl").read_text().splitlines(keepends=True)
        kept = ["\n" if (source, number) in places else line for number, line in enumerate(lines, 1)]
        (folder / f"{source}.jsonl").write_text("".join(kept))
    text = recipe.read_text()
    for source in SOURCES:  # a source without a record is none
        if not (folder / f"{source}.jsonl").read_text().strip():
            at = text.index(f'[[sources]]\nname = "{source}"')
            text = text[:at] + text[text.index("priority", at) :].partition("\n")[2]
    again = folder / "selections.toml"
    again.write_text(text)
    return milled(again)


def milled(recipe: Path) -> RunContext:
    """Run a recipe from its folder: names of files stand in locators, so they are the same in every folder."""
    with contextlib.chdir(recipe.parent):
        return read_run(Path(refine_directly(recipe, "edits")["run"]))


LEDGER = ["doc_id", "source", "verdict", "rule", "signal", "value", "bound", "other", "bytes"]
KEPT = ["doc_id", "source", "domain", "spans", "weight", "heldout"]


def differences(answer: Corpus, rerun: RunContext) -> list[str]:
    """Tables that are not the same in the answer and in the rerun; documents by doc_id."""
    ledger = pl.read_parquet(rerun.file("decide", "ledger.parquet"))
    kept = pl.read_parquet(rerun.file("edits", "kept.parquet"))
    pairs = {
        "ledger": (pl.DataFrame(answer.decision.ledger), ledger, LEDGER),
        "kept": (pl.DataFrame(answer.kept), kept, KEPT),
    }
    found = []
    for name, (here, there, columns) in pairs.items():
        order = ["doc_id", "rule"] if name == "ledger" else ["doc_id"]
        if not here.select(columns).sort(order).equals(there.select(columns).sort(order)):
            found.append(name)
    return found + (["accounts"] if answer.decision.accounts != rerun.run.manifest("decide").accounts else [])
