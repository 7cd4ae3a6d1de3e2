"""Mention linking: how right it is on two gold sets, and how fast beside Hyperscan.

Quality (--data with kg/ and gold/ of shared data): precision, recall and F1 of exact spans with the right entity, of
the links whose entity the graph has; the ceiling of recall (the right entity is a candidate of a name found) and what
F1 it allows; before: longest match, the candidate of most triples. Intervals: 95 %, 1,000 resamples of documents.
Speed: MB of text per CPU second, matching alone and linking whole, against Hyperscan's literals with a whole-word pass.

    python bench/linking.py --data ../shared/data [--quick] [--json]
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from compare import Comparison, cpu_seconds, options, peak_rss_mb, run_peer, say
from linking_sets import GoldDocument, gold, of_names, write_graph

from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.knowledge.graph import load_graph
from gristmill.knowledge.graph_table import Graph
from gristmill.knowledge.linking import Found, choose_entities, find_mentions, find_names
from gristmill.knowledge.linking_model import MIN_SCORE

SETS = ("gum", "hipe")
OF_PHRASES = ("gum",)  # its spans are noun phrases: "the Netherlands", "Kerry 's"
LABELS = (30_000, 80_000)
TEXT_MB = {True: 4, False: 24}  # by --quick
Linked = list[dict[tuple[int, int], str]]  # spans -> entity, one a document


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--quality", action="store_true", help="how right it is alone, not how fast")
    arguments = parser.parse_args()
    if arguments.data is None:
        sys.exit("gold sets and graph stand in shared data: --data ../shared/data")
    with tempfile.TemporaryDirectory() as folder:
        graph_folder = write_graph(arguments.data, Path(folder) / "graph")
        quality(arguments.data, graph_folder, arguments.json)
        for labels in () if arguments.quality else LABELS:
            speed(arguments.data, Path(folder) / str(labels), labels, TEXT_MB[arguments.quick], arguments.json)


# ------------------------------------------------------------------------------------------------ quality


def quality(data: Path, folder: Path, as_json: bool) -> None:
    """Print the ceiling first, then the peer and ours, then the mean of the sets with its interval."""
    graph = load_graph(folder)
    ours, theirs = [], []
    for name in SETS:
        documents = gold(data, name)
        texts = text_column(pa.table({"text": [document.text for document in documents]}))
        found = find_names(texts, graph)
        print_ceiling(name, documents, found, graph)
        counts = [counted(by_degree(found, graph), documents), counted(by_score(texts, found, graph), documents)]
        for how, count in zip(("longest match, most triples", "gristmill"), counts, strict=True):
            precision, recall = count[:, 0].sum() / count[:, 1].sum(), count[:, 0].sum() / count[:, 2].sum()
            low, high = interval([count])
            shares = f"precision {precision:.3f} recall {recall:.3f} F1 {f1(count):.3f} ({low:.3f} to {high:.3f})"
            print(f"{name}: {how}: {shares}")
        if name in OF_PHRASES:
            print_names(name, texts, documents, found, graph)
        print_errors(name, texts, documents, found, graph)
        theirs.append(counts[0])
        ours.append(counts[1])
    means = [float(np.mean([f1(count) for count in group])) for group in (ours, theirs)]
    low, high = interval(ours, theirs)
    note = f"{100 * (means[0] - means[1]):+.1f} points (95 %: {100 * low:+.1f} to {100 * high:+.1f})"
    ratio = means[0] / means[1]
    row = Comparison(
        "linking, mean F1",
        "longest match, most triples",
        "",
        "F1",
        means[0],
        means[1],
        ratio,
        "+10 points",
        None,
        peak_rss_mb(),
        note,
    )
    say(row, as_json)


def print_names(name: str, texts: TextColumn, documents: Sequence[GoldDocument], found: Found, graph: Graph) -> None:
    """The same with the gold phrases cut down to the names in them; in no mean."""
    cut = [of_names(document) for document in documents]
    print_ceiling(f"{name}, names of its phrases", cut, found, graph)
    counts = (counted(by_degree(found, graph), cut), counted(by_score(texts, found, graph), cut))
    print(f"{name}, names of its phrases: longest match F1 {f1(counts[0]):.3f}, gristmill F1 {f1(counts[1]):.3f}")


def print_ceiling(name: str, documents: Sequence[GoldDocument], found: Found, graph: Graph) -> None:
    """How many gold links the graph has the entity of, and how many of these are among the candidates found."""
    spans = sum(len(document.mentions) for document in documents)
    known = sum(meant is not None for document in documents for meant in document.mentions.values())
    among = 0
    for d, document in enumerate(documents):
        for start, end, surface in found.rows[found.offsets[d] : found.offsets[d + 1]].tolist():
            candidates = graph.candidates[graph.candidate_offsets[surface] : graph.candidate_offsets[surface + 1]]
            meant = document.mentions.get((start, end))
            among += meant is not None and meant in graph.ids.take(pa.array(candidates)).to_pylist()
    recall = among / known
    print(f"{name}: ceiling: {spans} gold mentions, the graph has the entity of {known}")
    print(f"{name}: among the candidates: {among} ({recall:.3f}), so F1 at most {2 * recall / (1 + recall):.3f}")


def print_errors(name: str, texts: TextColumn, documents: Sequence[GoldDocument], found: Found, graph: Graph) -> None:
    """What became of each gold mention whose entity the graph has, and what each wrong link stands on."""
    linked, (best, _) = by_score(texts, found, graph), choose_entities(texts, found, graph)
    lost, wrong = Counter(), Counter()
    for d, (links, document) in enumerate(zip(linked, documents, strict=True)):
        rows = range(*found.offsets[d : d + 2])
        at = {tuple(found.rows[m, :2].tolist()): m for m in rows}
        for span, meant in document.mentions.items():
            if meant is not None and links.get(span) != meant:
                lost[_how_lost(span, meant, at, best, found, graph)] += 1
        for span, entity in links.items():
            if document.mentions.get(span) != entity:
                wrong[_how_wrong(span, document)] += 1
    for what, counts in (("gold links not found", lost), ("wrong links", wrong)):
        print(f"{name}: {what}: " + "; ".join(f"{kind} {n}" for kind, n in counts.most_common()))


def _how_lost(span: tuple[int, int], meant: str, at: dict, best: np.ndarray, found: Found, graph: Graph) -> str:
    if span not in at:
        overlaps = any(start < span[1] and span[0] < end for start, end in at)
        return "another span was matched" if overlaps else "no name of the graph"
    name = found.rows[at[span], 2]
    candidates = graph.candidates[graph.candidate_offsets[name] : graph.candidate_offsets[name + 1]]
    if meant not in graph.ids.take(pa.array(candidates)).to_pylist():
        return "not among the candidates"
    chosen = graph.ids[int(best[at[span]])].as_py()
    return "left unlinked" if chosen == meant else "another candidate is likelier"


def _how_wrong(span: tuple[int, int], document: GoldDocument) -> str:
    if span in document.mentions:
        return "another entity is meant" if document.mentions[span] is not None else "the graph lacks what is meant"
    overlaps = any(start < span[1] and span[0] < end for start, end in document.mentions)
    return "part of a mention, or around it" if overlaps else "no mention"


def by_degree(found: Found, graph: Graph) -> Linked:
    """Every name of a label or alias of the graph, whatever its case says, to the candidate of most triples."""
    best = np.empty(len(graph.names), np.int64)
    for surface in range(len(graph.names)):
        candidates = graph.candidates[graph.candidate_offsets[surface] : graph.candidate_offsets[surface + 1]]
        best[surface] = candidates[np.argmax(graph.degrees[candidates])]
    return as_links(found, best[found.rows[:, 2]], graph.listed[found.rows[:, 2]], graph)


def by_score(texts: TextColumn, found: Found, graph: Graph) -> Linked:
    """What ``find_mentions`` links."""
    entities, odds = choose_entities(texts, found, graph)
    return as_links(found, entities, 1 / (1 + np.exp(-odds)) >= MIN_SCORE, graph)


def as_links(found: Found, entities: np.ndarray, kept: np.ndarray, graph: Graph) -> Linked:
    ids, spans = graph.ids.take(pa.array(entities)).to_pylist(), found.rows[:, :2].tolist()
    return [
        {tuple(spans[m]): ids[m] for m in range(*found.offsets[d : d + 2]) if kept[m]}
        for d in range(len(found.offsets) - 1)
    ]


def counted(linked: Linked, documents: Sequence[GoldDocument]) -> np.ndarray:
    """int64[n_docs, 3]: right, linked, gold."""
    rows = []
    for links, document in zip(linked, documents, strict=True):
        right = sum(document.mentions.get(span) == entity for span, entity in links.items())
        rows.append((right, len(links), sum(meant is not None for meant in document.mentions.values())))
    return np.array(rows)


def f1(count: np.ndarray) -> float:
    """Over all documents."""
    right, linked, meant = count.sum(0).tolist()
    return 2 * right / max(linked + meant, 1)


def interval(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray] = ()) -> tuple[float, float]:
    """Of the mean F1 of sets, or of its difference to that of others, over resampled documents."""
    random, drawn = np.random.default_rng(0), []
    for _ in range(1000):
        rows = [random.integers(0, len(count), len(count)) for count in ours]
        mine = np.mean([f1(count[at]) for count, at in zip(ours, rows, strict=True)])
        other = np.mean([f1(count[at]) for count, at in zip(theirs, rows, strict=True)]) if theirs else 0.0
        drawn.append(mine - other)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


# ------------------------------------------------------------------------------------------------ speed


def speed(data: Path, folder: Path, n_labels: int, megabytes: int, as_json: bool) -> None:
    """Matching and linking with so many labels."""
    graph = labelled_graph(data, folder, n_labels)
    texts = some_texts(data, megabytes)
    column = text_column(pa.table({"text": texts}))
    size = sum(len(text.encode()) for text in texts.to_pylist()) / 1e6
    pq.write_table(pa.table({"text": texts}), folder / "texts.parquet")
    find_names(column, graph)
    matching, found = cpu_seconds(lambda: find_names(column, graph))
    linking, mentions = cpu_seconds(lambda: find_mentions(column, graph))
    request = {"texts": str(folder / "texts.parquet"), "names": str(folder / "names.parquet"), "repeats": 3}
    peer = run_peer("linking", "linking_hyperscan.py", request)
    note = f"{len(found.rows)} names, {len(mentions.names)} linked; peer: {peer['matches']} whole words"
    note += f", scan alone {size / peer['scan']:.0f} MB/s"
    for work, seconds, target in (
        (f"matching, {n_labels} labels", matching, "2x"),
        (f"linking, {n_labels} labels", linking, "1x"),
    ):
        theirs = size / peer["both"]
        say(
            Comparison(
                work,
                "hyperscan",
                peer["version"],
                "MB/s",
                size / seconds,
                theirs,
                size / seconds / theirs,
                target,
                None,
                peak_rss_mb(),
                note,
            ),
            as_json,
        )


def labelled_graph(data: Path, folder: Path, n_labels: int) -> Graph:
    """So many names: those of kg/, then titles of WordNet; written beside as the peer's list."""
    write_graph(data, folder)
    entities = pl.read_parquet(folder / "entities.parquet")
    words = pl.read_parquet(data / "kg" / "wordnet_synsets.parquet").select(
        "id", pl.col("label").str.to_titlecase(), "description"
    )
    more = words.with_columns(lang=pl.lit("en"), aliases=pl.lit([], pl.List(pl.String)), type=pl.lit("thing"))
    whole = pl.concat([entities, more.select(entities.columns)]) if n_labels > 36_000 else entities
    named = whole.select(pl.col("label")).unique(maintain_order=True).with_row_index("n")
    whole.filter(pl.col("label").is_in(named.filter(pl.col("n") < n_labels)["label"].implode())).write_parquet(
        folder / "entities.parquet"
    )
    graph = load_graph(folder)
    pq.write_table(pa.table({"name": graph.names.cast(pa.string())}), folder / "names.parquet")
    print(json.dumps({"labels": n_labels, "names": len(graph.names)}), file=sys.stderr)
    return graph


def some_texts(data: Path, megabytes: int) -> pa.Array:
    tables = [
        pl.read_parquet(data / "text" / f"{name}.parquet", columns=["text"])
        for name in ("wiki", "news", "books", "legal")
    ]
    texts = pl.concat(tables).sample(fraction=1.0, shuffle=True, seed=1)
    kept = texts.filter(pl.col("text").str.len_bytes().cum_sum() <= megabytes * 1_000_000)
    return kept["text"].to_arrow().cast(pa.string())


if __name__ == "__main__":
    main()
