"""Reading a graph from Wikidata's JSON dump and from N-Triples: MB of lines a CPU second, beside the least it can take.

    python bench/graph_readers.py [--quick] [--json]

The files are generated: entities with labels, descriptions and aliases in 36 languages and 24 statements with a
reference each, about 20 KB a line as in the real dump; triples to items, labels and other literals in equal parts.
``theirs`` is the same file with every line parsed alone: by orjson, or split at blanks. Packed files take what
unpacking takes besides.
"""

import random
import tempfile
from collections import deque
from pathlib import Path

import orjson
from compare import Comparison, cpu_seconds, options, peak_rss_mb, say

from gristmill.knowledge.graph_source import Read
from gristmill.knowledge.read_graph import read_graph

LANGUAGES = [f"x{number}" for number in range(32)] + ["en", "de", "ja", "hi"]
READ = Read(languages=("en", "de", "ja", "hi"))


def write_dump(path, entities, rng):
    """A list with one entity to a line."""
    with path.open("wb") as file:
        file.write(b"[\n")
        for number in range(entities):
            file.write(orjson.dumps(entity(number, entities, rng)) + b",\n")
        file.write(b"]\n")


def entity(number, entities, rng):
    """One item, most of whose bytes no graph needs."""
    names = {lang: {"language": lang, "value": f"Name {number} of {lang}"} for lang in LANGUAGES}
    claims = {}
    for _ in range(24):
        other = rng.randrange(entities)
        value = {"value": {"entity-type": "item", "numeric-id": other, "id": f"Q{other}"}, "type": "wikibase-entityid"}
        snak = {"snaktype": "value", "property": f"P{rng.randrange(60)}", "hash": "0" * 40, "datavalue": value}
        reference = {"hash": "1" * 40, "snaks": {"P248": [snak]}, "snaks-order": ["P248"]}
        statement = {"mainsnak": snak, "type": "statement", "id": f"Q{number}$1", "rank": "normal"}
        claims.setdefault(snak["property"], []).append(statement | {"references": [reference]})
    aliases = {lang: [{"language": lang, "value": f"Alias {number} {lang}"}] for lang in LANGUAGES}
    return {
        "type": "item", "id": f"Q{number}", "labels": names, "descriptions": names, "aliases": aliases,
        "claims": claims, "sitelinks": {f"{lang}wiki": {"site": f"{lang}wiki", "title": "T"} for lang in LANGUAGES},
    }  # fmt: skip


def write_triples(path, lines, rng):
    """Lines of three kinds in turn."""
    item, label = "http://www.wikidata.org/entity/Q", "http://www.w3.org/2000/01/rdf-schema#label"
    with path.open("w") as file:
        for number in range(lines // 3):
            file.write(f"<{item}{number}> <http://www.wikidata.org/prop/direct/P31> <{item}{rng.randrange(lines)}> .\n")
            file.write(f'<{item}{number}> <{label}> "Name \\u00e4 {number}"@en .\n')
            file.write(f'<{item}{number}> <http://x.org/born> "1952"^^<http://www.w3.org/2001/XMLSchema#gYear> .\n')


def compare(work, path, form, alone, arguments, folder):
    """One line: ours, and every line parsed alone."""
    size, lines = path.stat().st_size / 1e6, sum(1 for _ in path.open("rb"))
    ours, outcome = cpu_seconds(lambda: read_graph([path], form, READ, folder), 1 if arguments.quick else 2)
    least, _ = cpu_seconds(lambda: deque(map(alone, path.open("rb")), 0), 1)
    say(
        Comparison(
            work=f"{work}, {size:.0f} MB", peer="every line parsed alone", peer_version="", unit="MB per CPU s",
            ours=round(size / ours, 1), theirs=round(size / least, 1), ratio=round(least / ours, 2), target="none",
            equal=None, rss_mb=peak_rss_mb(), note=f"{lines / ours:,.0f} lines per CPU s",
        ),
        arguments.json,
    )  # fmt: skip
    return outcome


def main():
    arguments = options(__doc__).parse_args()
    rng, share = random.Random(1), 10 if arguments.quick else 1
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        dump, triples = folder / "dump.json", folder / "graph.nt"
        write_dump(dump, 6_000 // share, rng)
        write_triples(triples, 600_000 // share, rng)
        tables = [folder / name for name in ("of_dump", "of_triples")]
        for one in tables:
            one.mkdir()
        compare("Wikidata's JSON dump", dump, "wikidata", _parsed, arguments, tables[0])
        compare("N-Triples", triples, "ntriples", bytes.split, arguments, tables[1])


def _parsed(line):
    text = line.strip().rstrip(b",")
    return orjson.loads(text) if text not in (b"[", b"]") else None


if __name__ == "__main__":
    main()
