"""A training step beside transformers' Qwen3Moe, from the same weights, and where its time goes.

    python bench/moe.py [--rounds 5] [--vocab 2048 8192] [--documents 1 6] [--precisions float32 bfloat16]
        [--experts 8 64] [--only step experts generate] [--quick] [--json]

Every cell is one vocabulary, number of documents in a row, precision and number of experts. The model is written by
``gristmill export``'s layout and opened by transformers, once with ``grouped_mm`` and once with its own loop
(``eager``); logits of all tokens must be equal before anything is timed. ``whole``: forward, loss, backward, clip,
AdamW. ``body``: forward and backward up to the last hidden states; ``head``: output matrix and loss; ``update``: clip
and AdamW. CPU seconds of one thread, rounds interleaved, the least of each: neighbours on the machine only add, and the
medians of three rounds beside ten other processes gave 0.58 for a head that is 1.35 in twelve. Ratios are those of the
least, with the least and the largest of a round; the head, which is short, runs several times a round. Then the
experts beside the same matmuls alone, and ``generate`` on the exported model. The load average stands beside each line.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gristmill.trainer.config import TrainConfig  # before torch, which reads how its threads wait
from gristmill.trainer.model.shape import Shape

import torch  # isort: skip
from torch import Tensor  # isort: skip

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.moe_time import by_kind
from bench.peers.moe_transformers import IMPLEMENTATIONS, Peer, generated
from gristmill.trainer.generate.generation import Generation
from gristmill.trainer.generate.sampling import Sampling
from gristmill.trainer.layouts.layout import LAYOUTS
from gristmill.trainer.layouts.model_files import Ids, write_model
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.experts import Experts, in_whole_blocks
from gristmill.trainer.model.loss import cross_entropy
from gristmill.trainer.model.packed import pack
from gristmill.trainer.model.precision import matmuls
from gristmill.trainer.model.router import Router
from gristmill.trainer.training.division import clip
from gristmill.trainer.training.optim import make_optimizer
from gristmill.trainer.training.step import train_step

ROWS, ROW_TOKENS, WIDTH, LAYERS = 8, 256, 256, 2
EXPERTS = {8: {"expert_width": 256, "top_k": 2}, 64: {"expert_width": 64, "top_k": 4}}
PARTS = ("whole", "body", "head", "update")
REPEATS = {"head": 3}  # within a round; one otherwise: an update consumes its gradient
LAYOUT, WORKS = LAYOUTS["qwen3moe"], ("step", "experts", "generate")


@dataclass(frozen=True)
class Cell:
    """What a comparison is of."""

    vocab: int
    documents: int
    precision: str
    experts: int

    @property
    def shape(self) -> Shape:
        rest = {"layers": LAYERS, "width": WIDTH, "heads": 4, "score": "softmax", "shared_experts": 0}
        return Shape(experts=self.experts, **EXPERTS[self.experts], **rest)


class Ours:
    """A model of the cell, and the parts of its step."""

    def __init__(self, cell: Cell, tokens: np.ndarray, lengths: np.ndarray):
        torch.manual_seed(0)
        self.model = Model(cell.shape, cell.vocab)
        row = np.repeat(np.arange(ROWS), cell.documents)
        begin = (np.cumsum(lengths, axis=1) - lengths).reshape(-1)
        self.batch = pack(tokens, np.zeros(ROWS, np.int64), row, begin, lengths.reshape(-1))
        self._config = TrainConfig(
            vocab_size=cell.vocab, row_tokens=ROW_TOKENS, model=cell.shape, balance={}, precision=cell.precision
        )
        self._optimizer = make_optimizer(self.model, 1e-4)
        self._upstream: Tensor | None = None

    def logits(self) -> Tensor:
        """Of every token, in order of rows: documents fill them."""
        with torch.no_grad(), matmuls(self._config.precision, "cpu"):
            return (self.model(self.batch).hidden @ self.model.embedding.T).float()

    def whole(self) -> None:
        train_step(self.model, self._optimizer, [self.batch], self._config)

    def body(self) -> None:
        with matmuls(self._config.precision, "cpu"):
            hidden = self.model(self.batch).hidden
        hidden.backward(torch.ones_like(hidden) * 1e-4)
        self._upstream = hidden.detach()

    def head(self) -> None:
        assert self._upstream is not None
        with matmuls(self._config.precision, "cpu"):
            hidden = self._upstream.requires_grad_().index_select(0, self.batch.inputs)
            loss, _ = cross_entropy(hidden, self.model.embedding, self.batch.targets)
        loss.backward()

    def update(self) -> None:
        clip(self.model, 1.0)
        self._optimizer.step()
        self.model.zero_grad()


def compared(cell: Cell, rounds: int) -> dict:
    """CPU seconds of each part and implementation, by round; and how far the logits are apart."""
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, cell.vocab, (ROWS, ROW_TOKENS))
    cuts = np.sort(rng.permuted(np.tile(np.arange(1, ROW_TOKENS), (ROWS, 1)), axis=1)[:, : cell.documents - 1], axis=1)
    lengths = np.diff(cuts, axis=1, prepend=0, append=ROW_TOKENS)
    ours = Ours(cell, tokens, lengths)
    with tempfile.TemporaryDirectory() as name:
        write_model(Path(name), LAYOUT, ours.model, ROW_TOKENS, Ids(None, None, None))
        positions = ours.batch.positions.reshape(ROWS, ROW_TOKENS)
        theirs = {
            one: Peer(Path(name), one, torch.from_numpy(tokens), positions, cell.precision) for one in IMPLEMENTATIONS
        }
    wanted = ours.logits()
    apart = {name: float((peer.logits() - wanted).abs().max() / wanted.abs().max()) for name, peer in theirs.items()}
    if cell.precision == "float32" and max(apart.values()) > 1e-5:
        raise SystemExit(f"{cell}: logits differ by {apart}, so that nothing is compared")
    runners = {"ours": ours, **theirs}
    times = interleaved(runners, rounds)
    fastest = min(IMPLEMENTATIONS, key=lambda name: min(times[name]["whole"]))
    kinds = {name: by_kind(runners[name].whole) for name in ("ours", fastest)}
    return {"cell": vars(cell), "logits_apart": apart, "cpu_seconds": times, "ratios": ratios(times), "kinds": kinds}


def interleaved(runners: Mapping[str, Ours | Peer], rounds: int) -> dict[str, dict[str, list[float]]]:
    """CPU seconds of every part, one round behind the other; the first round warms up and is left out."""
    times = {name: {part: [] for part in PARTS} for name in runners}
    for _ in range(rounds + 1):
        for part in PARTS:
            for name, runner in runners.items():
                times[name][part].append(min(cpu(getattr(runner, part)) for _ in range(REPEATS.get(part, 1))))
    return {name: {part: values[1:] for part, values in parts.items()} for name, parts in times.items()}


def cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def ratios(times: Mapping[str, Mapping[str, list[float]]]) -> dict[str, tuple[float, float, float]]:
    """The faster of theirs over ours: of the least times, and the least and largest of a round."""
    found = {}
    for part in PARTS:
        fastest = min(IMPLEMENTATIONS, key=lambda name: min(times[name][part]))
        pairs = [b / a for a, b in zip(times["ours"][part], times[fastest][part], strict=True)]
        found[part] = (min(times[fastest][part]) / min(times["ours"][part]), min(pairs), max(pairs))
    return found


def experts_alone(experts: int, precision: str, rounds: int) -> dict:
    """A layer's experts, forward and backward, beside their six matmuls for each expert, and for all rows at once.

    The matmuls run bare: no autograd, nothing cast, their operands laid out as they come.
    """
    cell = Cell(2048, 1, precision, experts)
    torch.manual_seed(0)
    layer, router, x = Experts(cell.shape), Router(cell.shape), torch.randn(ROWS * ROW_TOKENS, WIDTH)
    routing = router(x)
    routing = routing._replace(weights=routing.weights.detach())
    counts = routing.counts
    if precision == "bfloat16":  # as the experts do it: of bare sizes, oneDNN compiles a kernel each
        _, counts = in_whole_blocks(counts)
    sizes = counts.tolist()
    dtype = getattr(torch, precision)
    weights = [weight.detach().to(dtype) for weight in (layer.gate_up, layer.down)]
    rows, back, hidden, back_hidden = (
        torch.randn(sum(sizes), width, dtype=dtype)
        for width in (WIDTH, WIDTH, weights[1].shape[2], 2 * weights[1].shape[2])
    )

    def ours() -> None:
        layer.zero_grad()
        with matmuls(precision, "cpu"):
            layer(x.detach().requires_grad_(), routing).sum().backward()

    def products(parts: list[int]) -> Callable[[], None]:
        def work() -> None:
            of_parts = zip(*(one.split(parts) for one in (rows, back, hidden, back_hidden)), *weights, strict=False)
            for of_rows, of_back, of_hidden, of_back_hidden, gate_up, down in of_parts:
                of_rows @ gate_up.T, of_hidden @ down.T, of_back @ down, of_back_hidden @ gate_up
                of_back.T @ of_hidden, of_back_hidden.T @ of_rows

        return work

    work = {"experts": ours, "matmul of each": products(sizes), "one matmul": products([sum(sizes)])}
    times = {name: [] for name in work}
    for _ in range(rounds + 1):
        for name, one in work.items():
            times[name].append(cpu(one))
    least = {name: min(values[1:]) for name, values in times.items()}
    rest = {f"times {name}": least["experts"] / least[name] for name in list(work)[1:]}
    return {"experts": experts, "precision": precision, "cpu_seconds": least, **rest, "load": os.getloadavg()[0]}


def generation(sequences: int, rounds: int, prompt: int = 64, new_tokens: int = 64) -> dict:
    """CPU seconds a token of greedy generation, and whether both give the same tokens."""
    cell = Cell(8192, 1, "float32", 8)
    torch.manual_seed(0)
    model = Model(cell.shape, cell.vocab).eval()
    prompts = np.random.default_rng(2).integers(0, cell.vocab, (sequences, prompt))

    def ours() -> Tensor:
        steps = Generation(model, prompts.tolist(), prompt + new_tokens, Sampling())
        return torch.tensor([[one.token for one in steps.step()] for _ in range(new_tokens)]).T

    with tempfile.TemporaryDirectory() as name:
        write_model(Path(name), LAYOUT, model, prompt + new_tokens, Ids(None, None, None))
        work = {one: generated(Path(name), one, torch.from_numpy(prompts), new_tokens) for one in IMPLEMENTATIONS}
    equal = all(torch.equal(ours(), one()) for one in work.values())
    times = {name: [cpu(one) for _ in range(rounds)] for name, one in {"ours": ours, **work}.items()}
    least = {name: min(values) / new_tokens / sequences for name, values in times.items()}
    ratio = min(least[one] for one in IMPLEMENTATIONS) / least["ours"]
    load = os.getloadavg()[0]
    return {"sequences": sequences, "equal": equal, "cpu_seconds_a_token": least, "ratio": ratio, "load": load}


def shown(found: dict) -> str:
    """A cell in a few lines."""
    cell, times = found["cell"], found["cpu_seconds"]
    head = f"V {cell['vocab']:5} {cell['documents']} doc {cell['precision']:8} {cell['experts']:2} experts"
    apart = ", ".join(f"{name} {value:.1e}" for name, value in found["logits_apart"].items())
    lines = [f"{head}: " + "  ".join(f"{p} {m:.2f}x ({a:.2f}-{b:.2f})" for p, (m, a, b) in found["ratios"].items())]
    for name, parts in times.items():
        of_parts = (
            f"{part} {1e3 * min(values):.0f} ({1e3 * statistics.median(values):.0f})" for part, values in parts.items()
        )
        lines.append(f"    {name:10} ms, least (median) {'  '.join(of_parts)}")
        profiled = "  ".join(f"{kind} {value:.0f}" for kind, value in found["kinds"].get(name, {}).items())
        lines += [] if not profiled else [f"    {'':10} of which, by the profiler: {profiled}"]
    return "\n".join([*lines, f"    logits apart: {apart}; load {os.getloadavg()[0]:.1f}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vocab", type=int, nargs="*", default=[2048, 8192])
    parser.add_argument("--documents", type=int, nargs="*", default=[1, 6])
    parser.add_argument("--precisions", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--experts", type=int, nargs="*", default=list(EXPERTS), choices=list(EXPERTS))
    parser.add_argument("--only", nargs="*", default=WORKS, choices=WORKS)
    parser.add_argument("--quick", action="store_true", help="the first vocabulary, one document a row, two rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rounds = 2 if arguments.quick else arguments.rounds
    vocabs, documents = (arguments.vocab[:1], (1,)) if arguments.quick else (arguments.vocab, arguments.documents)
    cells = itertools.product(vocabs, documents, arguments.precisions, arguments.experts)
    for values in cells if "step" in arguments.only else ():
        found = compared(Cell(*values), rounds)
        print(json.dumps(found) if arguments.json else shown(found), flush=True)
    layers = itertools.product(arguments.experts, arguments.precisions)
    for experts, precision in layers if "experts" in arguments.only else ():
        print(json.dumps(experts_alone(experts, precision, rounds)), flush=True)
    for sequences in (1, 8) if "generate" in arguments.only else ():
        print(json.dumps(generation(sequences, min(rounds, 3))), flush=True)


if __name__ == "__main__":
    main()
