"""Five million aliases: the memory of building the index of names, of linking with it mapped, and the speed of that.

Names are made up, one to three words of syllables with the lengths of Wikidata's, five to an entity, some shared by two
entities; three triples an entity. Texts are of these words and of names, one in forty words. Each step is a process of
its own, whose peak resident memory is read from /proc (Linux): VmHWM, and what of it maps files.

    python bench/aliases.py [--quick] [--json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

PER_ENTITY = 5
LIMIT_MB = 4096
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "il")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="200,000 aliases")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--aliases", type=int, help="how many")
    parser.add_argument("--data", help="not read: names are made up")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(STEPS[arguments.step[0]](Path(arguments.step[1]))))
        return
    n = arguments.aliases or (200_000 if arguments.quick else 5_000_000)
    with tempfile.TemporaryDirectory(prefix="aliases-") as name:
        folder = Path(name)
        write_made_up(folder, n)
        for step in STEPS:
            done = subprocess.run(
                [sys.executable, __file__, "--step", step, name], capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"{step}: {done.stderr}")
            found = {"work": f"{step}, {n:,} aliases", **json.loads(done.stdout.splitlines()[-1])}
            print(json.dumps(found) if arguments.json else "  ".join(f"{key} {value}" for key, value in found.items()))
        same = (folder / "load.npy").read_bytes() == (folder / "map.npy").read_bytes()
        print(json.dumps({"equal": same}) if arguments.json else f"the mapped index links as the loaded graph: {same}")


def write_made_up(folder: Path, n: int) -> None:
    """entities.parquet, triples.parquet and texts.arrow of ``n`` aliases."""
    draw = np.random.default_rng(1)
    words = pl.Series(sorted({"".join(draw.choice(SYLLABLES, k)).capitalize() for k in draw.integers(1, 5, 200_000)}))
    n_entities = n // PER_ENTITY
    graph = folder / "graph"
    graph.mkdir()
    length = pl.Series(draw.choice([1, 2, 3], n, p=[0.25, 0.5, 0.25]))
    picked = {name: words.gather(draw.integers(0, len(words), n)) for name in "abc"}
    two = pl.concat_str("a", "b", separator=" ")
    three = pl.concat_str("a", "b", "c", separator=" ")
    name = pl.when(pl.col("n") == 1).then("a").when(pl.col("n") == 2).then(two).otherwise(three)
    names = pl.DataFrame(picked | {"n": length}).select(name=name)
    names = names.with_columns(entity=pl.int_range(n) // PER_ENTITY)
    grouped = names.group_by("entity", maintain_order=True).agg("name")
    entities = grouped.select(
        id=pl.format("Q{}", "entity"),
        label=pl.col("name").list.first(),
        lang=pl.lit("en"),
        aliases=pl.col("name").list.slice(1),
        description=pl.lit(""),
        type=pl.format("T{}", pl.col("entity") % 500),
    )
    entities.write_parquet(graph / "entities.parquet")
    ends = draw.integers(0, n_entities, (3 * n_entities, 2))
    triples = pl.DataFrame({"h": ends[:, 0], "t": ends[:, 1]}).select(
        head=pl.format("Q{}", "h"), relation=pl.lit("near"), tail=pl.format("Q{}", "t")
    )
    triples.write_parquet(graph / "triples.parquet")
    plain = words.gather(draw.integers(0, len(words), 1_200_000)).str.to_lowercase().to_list()
    plain[::40] = names["name"].gather(draw.integers(0, n, 30_000)).to_list()
    texts = [" ".join(plain[at : at + 300]) for at in range(0, len(plain), 300)]
    pl.DataFrame({"text": texts}).write_parquet(folder / "texts.parquet")


def memory() -> dict[str, float]:
    """Peak and present resident memory of this process in MB, and what of it is of files."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kinds = {"VmHWM": "peak_mb", "VmRSS": "rss_mb", "RssAnon": "anonymous_mb", "RssFile": "of_files_mb"}
    return {mine: round(int(lines[theirs].split()[0]) / 1024) for theirs, mine in kinds.items()}


def link(folder: Path, graph, out: str) -> dict[str, float]:
    from gristmill.corpus.text.columns import text_column
    from gristmill.knowledge.linking import find_mentions

    texts = text_column(pl.read_parquet(folder / "texts.parquet").to_arrow())
    first = text_column(pa.table({"text": ["Warm"]}))
    find_mentions(first, graph)
    begin = time.process_time()
    found = find_mentions(texts, graph)
    seconds = time.process_time() - begin
    np.save(folder / out, np.stack([found.starts, found.ends, found.names, found.entities]))
    mb = len(texts.data) / 1e6
    return {"mb_per_cpu_s": round(mb / seconds, 1), "mentions": len(found.starts)}


def load(folder: Path) -> dict[str, float]:
    """The graph read from its tables, all in memory."""
    from gristmill.knowledge.graph import load_graph

    begin = time.process_time()
    graph = load_graph(folder / "graph")
    seconds = round(time.process_time() - begin, 1)
    return {"cpu_s": seconds, **link(folder, graph, "load.npy"), **memory()}


def build(folder: Path) -> dict[str, float]:
    """The index written once."""
    from gristmill.knowledge.mapped_graph import index_stage
    from gristmill.knowledge.stage import Knowledge

    begin = time.process_time()
    (folder / "index").mkdir()
    index_stage(folder / "graph", Knowledge(graph=str(folder / "graph")), folder / "index")
    size = sum(path.stat().st_size for path in (folder / "index").iterdir())
    return {"cpu_s": round(time.process_time() - begin, 1), "files_mb": round(size / 1e6), **memory()}


def mapped(folder: Path) -> dict[str, float]:
    """A process that links, with the index mapped."""
    from gristmill.knowledge.mapped_graph import open_graph

    begin = time.process_time()
    graph = open_graph(folder / "index")
    seconds = round(time.process_time() - begin, 3)
    return {"cpu_s": seconds, **link(folder, graph, "map.npy"), **memory()}


STEPS = {"load": load, "build": build, "map": mapped}

if __name__ == "__main__":
    main()
