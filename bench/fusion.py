"""Fusion of graph neighbours: does what a graph says of the entities of a text help to predict it?

    python bench/fusion.py [--data DIR] [--run RUN] [--seeds 5] [--steps 150] [--keep FOLDER] [--quick] [--json]

Four arms with equal parameters, equal batches in equal order and, by seed, equal initial weights: ``none`` (one learned
vector in place of every neighbour), ``shuffled`` (in place of every neighbour another entity, as a permutation of all
has it: as many, by the same relations), ``mean`` (every neighbour alike) and ``attention``. Texts are the English ones
of DIR/text/wiki.parquet with the graph of DIR/kg (some of samples/ without DIR), milled with [knowledge.neighbours].

What is compared are bits of held-out rows by document, over three kinds of tokens: ``answers``, which neither a
neighbour nor its name shows; other ``mentions``, which a neighbour of an earlier one may have named; and ``all``. A
line says how many bits of a document ``attention`` saves against an arm (``ours``; ``theirs`` are the bits of that
arm): the mean over seeds of differences paired by document, its standard error over seeds, and those over documents in
each seed. It is printed whichever way it comes out.

Source of the control by permutation: Hewitt and Liang (arXiv 1909.03368), section 2.
"""

import math
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import numpy as np
import polars as pl
import torch

from bench.compare import HOUSE, Comparison, options, peak_rss_mb, say
from bench.linking_sets import write_graph
from gristmill.flows.direct import refine_directly
from gristmill.handoff.loader import Loader
from gristmill.handoff.neighbours import EntitySpans, RunNeighbours
from gristmill.handoff.row_digest import within
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.entity_mentions import NONE, Names, mentions_of
from gristmill.trainer.model.fusion import FusionShape, Kind
from gristmill.trainer.model.loss import cross_entropy
from gristmill.trainer.model.packed import Packed, pack_batch
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.schedules import learning_rate_at
from gristmill.trainer.training.heldout_rows import HeldoutRows, read_heldout
from gristmill.trainer.training.optim import make_optimizer, set_learning_rate
from gristmill.trainer.training.step import train_step

RECIPE = """
name = "fusion"
seed = 1
{sources}
[decide]
profiles = []
[knowledge]
graph = "{graph}"
[knowledge.neighbours]
max_neighbours = 8
answers = 0.3
[tokenizer]
vocab_size = 2048
[shards]
row_tokens = 128
heldout = 0.1
[[curriculum]]
until_tokens = "{tokens}"
shares = {{ text = 1.0 }}
"""
SOURCE = '[[sources]]\nname = "{name}"\npath = "{path}"\ndomain = "text"\n'
SAMPLES = ("samples/reference/*.parquet", "samples/legal/*.parquet", "samples/books/*.jsonl.zst")
MODEL = Shape(layers=2, width=64, heads=2, experts=4, expert_width=64)
ARMS: dict[str, tuple[Kind, bool]] = {  # kind of fusion, and whether neighbours are permuted
    "none": ("constant", False),
    "shuffled": ("attention", True),
    "mean": ("mean", False),
    "attention": ("attention", False),
}
KINDS = ("answers", "mentions", "all")
ROWS, ROW, RATE, WARMUP = 8, 128, 1e-2, 20


def mill(data: Path | None, folder: Path, tokens: int) -> Path:
    """A run with neighbours beside its rows."""
    os.environ["GRISTMILL_HOME"] = str(folder)
    if data is None:
        graph, paths = "samples/knowledge", SAMPLES
    else:
        graph, paths = str(write_graph(data, folder / "graph")), (str(folder / "wiki.parquet"),)
        texts = pl.read_parquet(data / "text" / "wiki.parquet").filter(pl.col("lang") == "en")
        texts.select("id", "text").write_parquet(paths[0])
    sources = "".join(SOURCE.format(name=f"s{number}", path=path) for number, path in enumerate(paths))
    recipe = folder / "fusion.toml"
    recipe.write_text(RECIPE.format(sources=sources, graph=graph, tokens=tokens))
    return Path(refine_directly(recipe, "neighbours")["run"])


class Graph:
    """Entities and relations of training and held-out rows in one numbering, by their ids."""

    def __init__(self, run: Path, domains: tuple[str, ...]):
        self.parts = {rows: RunNeighbours(run, domains, rows) for rows in ("shards", "heldout")}
        named = {}
        for part in self.parts.values():
            named |= dict(zip(part.entities["id"].to_pylist(), part.entities["tokens"].to_pylist(), strict=True))
        ids = {one: number for number, one in enumerate(sorted(named))}
        self.names = Names.of([named[one] for one in ids])
        self.permuted = np.append(np.random.default_rng(0).permutation(len(ids)), NONE)
        self.entity = {rows: _numbers(part.entities["id"].to_pylist(), ids) for rows, part in self.parts.items()}
        keys = {rows: [*map(tuple, _pairs(part))] for rows, part in self.parts.items()}
        relations = {one: number for number, one in enumerate(sorted({*keys["shards"], *keys["heldout"]}))}
        self.relation = {rows: _numbers(found, relations) for rows, found in keys.items()}
        self.relations = len(relations)

    def spans(self, rows: str, domain: np.ndarray, row: np.ndarray, *, permuted: bool) -> EntitySpans:
        """Of some rows, in this numbering."""
        spans = self.parts[rows].read(domain, row)
        near = self.entity[rows][spans.neighbours]
        near = self.permuted[near] if permuted else near
        return spans._replace(neighbours=near, relations=self.relation[rows][spans.relations])


def _numbers(found: list, table: dict) -> np.ndarray:
    return np.array([*(table[one] for one in found), NONE], np.int64)  # NONE stands behind the last, and stays


def _pairs(part: RunNeighbours) -> Iterator[tuple[str, bool]]:
    yield from zip(part.relations["name"].to_pylist(), part.relations["inverse"].to_pylist(), strict=True)


def training_batches(run: Path, graph: Graph, steps: int, *, permuted: bool) -> list[Packed]:
    """The first batches of the plan."""
    found = []
    for batch, _ in zip(Loader(run, batch_rows=ROWS), range(steps), strict=False):
        spans = graph.spans("shards", batch.domain, batch.row, permuted=permuted)
        packed = pack_batch(batch)
        mentions = mentions_of(packed.slices.numpy(), ROW, spans, graph.names)
        found.append(packed._replace(mentions=mentions))
    return found


class HeldoutBatch(NamedTuple):
    """Rows that no training sees."""

    packed: Packed
    document: np.ndarray  # int64[P], of each predicted token
    kind: np.ndarray  # int64[P]: 2 it stands in an answer, 1 in another mention, 0 elsewhere


def heldout_batches(rows: HeldoutRows, graph: Graph, *, permuted: bool) -> list[HeldoutBatch]:
    """All of them, with the numbers of their documents."""
    numbers: dict[str, int] = {}
    found = []
    for at in range(len(rows)):
        packed, chosen = rows[at], rows._of(at)
        spans = graph.spans("heldout", np.full(len(chosen), rows.domain), chosen, permuted=permuted)
        slices = packed.slices.numpy()
        mentions = mentions_of(slices, ROW, spans, graph.names)
        document = np.array([numbers.setdefault(one, len(numbers)) for one in rows.documents(at)])
        predicted = packed.inputs.numpy() + 1
        kind = kinds_of(slices, spans)[predicted]
        document = np.repeat(document, slices[2])[predicted]
        found.append(HeldoutBatch(packed._replace(mentions=mentions), document, kind))
    return found


def kinds_of(slices: np.ndarray, spans: EntitySpans) -> np.ndarray:
    """Of every token of the stream."""
    table = np.zeros((int(max(slices[0])) + 1, ROW), np.int64)
    for row, start, length, answer in zip(spans.row, spans.start, spans.length, spans.answer, strict=True):
        table[row, start : start + length] = 1 + int(answer)
    row, start, length = slices
    return table.reshape(-1)[np.repeat(row * ROW + start, length) + within(length)]


def trained(arm: str, seed: int, batches: list[Packed], relations: int, vocab_size: int) -> Model:
    """A model after one pass over the batches."""
    torch.manual_seed(seed)
    model = Model(MODEL, vocab_size, FusionShape(ARMS[arm][0], relations))
    config = TrainConfig(vocab_size, ROW, model=MODEL, batch_rows=ROWS, precision="float32")
    optimizer = make_optimizer(model, RATE)
    for step, batch in enumerate(batches):
        set_learning_rate(optimizer, learning_rate_at(step, len(batches), WARMUP, RATE))
        train_step(model, optimizer, [batch], config)
    return model.eval()


@torch.no_grad()
def bits_by_document(model: Model, batches: list[HeldoutBatch]) -> np.ndarray:
    """Bits of the predicted tokens of each document: float64[documents, KINDS]."""
    bits = np.zeros((1 + max(int(batch.document.max()) for batch in batches), len(KINDS)))
    for packed, document, kind in batches:
        _, each = cross_entropy(model(packed).hidden[packed.inputs], model.embedding, packed.targets)
        nats = each.double().numpy() / math.log(2)
        for column, here in enumerate((kind == 2, kind == 1, kind >= 0)):
            np.add.at(bits[:, column], document[here], nats[here])
    return bits


def mean_error(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def compare(other: str, column: int, bits: dict[str, list[np.ndarray]], counts: np.ndarray) -> Comparison:
    """What attention saves against another arm, over the documents that have such tokens."""
    has = counts[:, column] > 0
    pairs = list(zip(bits[other], bits["attention"], strict=True))
    by_seed = [mean_error((theirs - ours)[has, column]) for theirs, ours in pairs]
    mean, error = mean_error(np.array([one for one, _ in by_seed]))
    theirs = float(np.mean([one[has, column].mean() for one in bits[other]]))
    tokens = int(counts[:, column].sum())
    each = ", ".join(f"{one:+.2f} +- {of_documents:.2f}" for one, of_documents in by_seed)
    return Comparison(
        work=f"bits of {KINDS[column]} per document that attention saves against {other}",
        peer=other,
        peer_version="",
        unit="bits",
        ours=mean,
        theirs=theirs,
        ratio=None,
        target="whichever way it comes out",
        equal=None,
        rss_mb=peak_rss_mb(),
        note=f"of {theirs:.1f}, +- {error:.2f} over seeds; {int(has.sum())} documents, {tokens} tokens; by seed {each}",
    )


def measure(run: Path, seeds: range, steps: int, keep: Path, *, as_json: bool) -> None:
    """Train all arms with all seeds and print the lines."""
    domains = Loader(run, batch_rows=ROWS).plan.names
    config = TrainConfig(2048, ROW, batch_rows=32)
    rows, graph = read_heldout(run / "heldout", domains, config)["text"], Graph(run, domains)
    feeds = {p: training_batches(run, graph, steps, permuted=p) for p in (False, True)}
    asked = {p: heldout_batches(rows, graph, permuted=p) for p in (False, True)}
    counts = _counts(asked[False])
    of_batches = [one.mentions for one in feeds[False] if one.mentions is not None]
    print(
        f"{len(feeds[False])} steps of {ROWS} rows of {ROW} tokens, {sum(len(one.at) for one in of_batches)} mentions "
        f"with neighbours, {graph.relations} relations, {len(graph.names.lengths)} entities; held out "
        f"{len(counts)} documents",
        file=sys.stderr,
    )
    bits: dict[str, list[np.ndarray]] = {arm: [] for arm in ARMS}
    for seed in seeds:
        for arm, (_, permuted) in ARMS.items():
            file = keep / f"{arm}-{steps}-{seed}.npy"
            if not file.exists():
                model = trained(arm, seed, feeds[permuted], graph.relations, config.vocab_size)
                np.save(file, bits_by_document(model, asked[permuted]))
            bits[arm].append(np.load(file))
            found = " ".join(f"{kind} {total:.0f}" for kind, total in zip(KINDS, bits[arm][-1].sum(0), strict=True))
            print(f"seed {seed} {arm}: bits {found}", file=sys.stderr, flush=True)
    for column in range(len(KINDS)):
        for other in ("none", "shuffled", "mean"):
            say(compare(other, column, bits, counts), as_json)


def _counts(batches: list[HeldoutBatch]) -> np.ndarray:
    """Predicted tokens of each document by kind: int64[documents, KINDS]."""
    counts = np.zeros((1 + max(int(batch.document.max()) for batch in batches), len(KINDS)), np.int64)
    for _, document, kind in batches:
        for column, here in enumerate((kind == 2, kind == 1, kind >= 0)):
            np.add.at(counts[:, column], document[here], 1)
    return counts


def main() -> None:
    """Mill, train, compare."""
    parser = options(__doc__)
    parser.add_argument("--run", type=Path, help="a run with neighbours that an earlier call milled")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument(
        "--keep", type=Path, help="a folder for the bits of each arm and seed, which a later call reads"
    )
    given = parser.parse_args()
    os.chdir(HOUSE)
    torch.set_num_threads(1)
    steps, seeds = (20, 2) if given.quick else (given.steps, given.seeds)
    with tempfile.TemporaryDirectory() as folder:
        run = given.run or mill(given.data, Path(folder), steps * ROWS * ROW)
        keep = given.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        measure(run, range(given.first_seed, seeds), steps, keep, as_json=given.json)


if __name__ == "__main__":
    main()
