"""Notes in two sources, a recipe of them, and the smallest trainer: for tests that run them, and bench/faults.py."""

import json
from pathlib import Path

NOTE = (
    "Note {n} of the {word} grinds on and on. {marks} [advert {n}] Ask agent é{n} how the wheel turned {turns} times."
)
SOURCES = ("even", "odd")
RECIPE = """
name = "notes"
seed = 1
plugins = {plugins}
[[sources]]
name = "even"
path = "{folder}/even.jsonl"
domain = "notes"
[[sources]]
name = "odd"
path = "{folder}/odd.jsonl"
domain = "notes"
{extra}
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 32
heldout = 0.1
[[curriculum]]
until_tokens = "1K"
shares = {{ notes = 1.0 }}
"""
TRAINER = """
[trainer]
batch_rows = {batch_rows}
threads = 1
{extra}
[trainer.model]
layers = 1
width = 16
heads = 2
experts = 2
expert_width = 16
top_k = 1
"""
# no two runs of one recipe have the same seconds and times in these
MEASURED = {"digests.txt", "metrics.prom", "report.json", "rates.json", "writer.lock", "timing.json", "verified.json"}


def write_sources(folder: Path, *, notes: int = 60, word: str = "mill") -> None:
    """even.jsonl and odd.jsonl; another word gives other texts of the same length or not."""
    for parity, source in enumerate(SOURCES):
        numbers = range(parity, notes, 2)
        texts = [NOTE.format(n=n, word=word, marks="!" * (n % 5), turns=n * n) for n in numbers]
        lines = [json.dumps({"id": f"n{n}", "text": text}) + "\n" for n, text in zip(numbers, texts, strict=True)]
        (folder / f"{source}.jsonl").write_text("".join(lines))
