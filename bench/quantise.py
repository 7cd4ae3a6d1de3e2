"""A trained model in 8 and 4 bits beside the original: bits per byte with errors, bytes, tokens a second.

``python bench/quantise.py RUN`` takes the last checkpoint of a run's training and goes on from it for ``--steps`` of
the plan, as it is and with ``[trainer.quantise]``, at a tenth of its rate. ``original``: the checkpoint; ``rounded``:
the same, rounded afterwards; ``gone on``: with so many steps more; ``trained so``: with as many, rounded. Bytes are
those of the stored tensors. Tokens a second of ``generate`` are by CPU seconds: rounded weights are computed with in
float32, so that they make files smaller and nothing faster.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from gristmill.trainer.config import TrainConfig

import torch  # isort: skip
from balance import make_run  # isort: skip
from safetensors.torch import load_file

from gristmill.corpus.files import file_sha256
from gristmill.flows.pipeline.open_context import read_run
from gristmill.flows.pipeline.publish import train_config
from gristmill.flows.pipeline.stages import stage_named
from gristmill.handoff.plan import Plan
from gristmill.trainer.adapt.adapters import merged_weights, packed_weights, round_weights
from gristmill.trainer.generate.generation import Generation
from gristmill.trainer.generate.sampling import Sampling
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.precision import resolve_precision
from gristmill.trainer.quantised_weights import Quantise
from gristmill.trainer.training import checkpoint
from gristmill.trainer.training.evaluate import evaluate
from gristmill.trainer.training.heldout_rows import read_heldout
from gristmill.trainer.training.loop import train

OPTIONS = Quantise(weights=("*.attention.*qkv", "*.attention.out", "*.experts.*", "*.shared.*"))
TOKENS = 64


def shown(name: str, model: Model, stored: int, run: Path, config: TrainConfig) -> None:
    """One line; ``stored`` in bytes."""
    counts = torch.ones(config.vocab_size, dtype=torch.int64)
    found = evaluate(model.eval(), read_heldout(run / "heldout", Plan.load(run / "plan").names, config), config, counts)
    measured = [one for one in found.domains.values() if one.bits_per_byte is not None]
    bits = sum(one.bits_per_byte for one in measured) / len(measured)
    error = sum((one.standard_error or 0.0) ** 2 for one in measured) ** 0.5 / len(measured)
    speed = TOKENS / seconds(model)
    print(f"{name:12} {bits:.4f} +- {error:.4f} bits per byte  {stored:>10,} bytes  {speed:.0f} tokens/s", flush=True)


def seconds(model: Model) -> float:
    """CPU seconds of some tokens behind a short prompt."""
    steps, began = Generation(model, [[5, 6, 7]], 3 + TOKENS, Sampling()), time.process_time()
    for _ in range(TOKENS):
        steps.step()
    return time.process_time() - began


def size(tensors: dict[str, torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def plain(config: TrainConfig, weights: dict[str, torch.Tensor]) -> Model:
    model = Model(config.model, config.vocab_size)
    model.load_state_dict(weights)
    return model.requires_grad_(requires_grad=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--heldout-rows", type=int, default=8, help="of each domain; 0 = all")
    arguments = parser.parse_args()
    context = read_run(arguments.run)
    config = train_config(context, stage_named(context.stages, "train"))
    folder = checkpoint.folder_of(*last(arguments.run / "train" / "checkpoints"))
    start = folder / "model.safetensors"
    config = replace(
        config, heldout_rows=arguments.heldout_rows, learning_rate=config.learning_rate / 10, warmup_steps=5
    )
    config = replace(config, precision=resolve_precision(config.precision, config.device))
    config = replace(config, start=str(start), start_digest=file_sha256(start), checkpoint_steps=10**6)
    weights = load_file(start)
    shown("original", plain(config, weights), size(weights), arguments.run, config)
    rounded = plain(config, weights)
    round_weights(rounded, OPTIONS)
    after = packed_weights(rounded.state_dict(), OPTIONS)
    shown(
        "rounded",
        plain(config, merged_weights(rounded.state_dict(), None, OPTIONS)),
        size(after),
        arguments.run,
        config,
    )
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "run").mkdir()
        make_run(arguments.run, Path(name) / "run", arguments.steps)
        for label, options in (("gone on", None), ("trained so", OPTIONS)):
            out = Path(name) / label
            train(Path(name) / "run", out, replace(config, quantise=options))
            found = load_file(checkpoint.folder_of(*last(out / "checkpoints")) / "model.safetensors")
            stored = load_file(out / "packed.safetensors") if options else found
            merged = merged_weights(found, None, options)
            shown(label, plain(config, merged), size(stored), arguments.run, config)


def last(folder: Path) -> tuple[Path, int]:
    return folder, checkpoint.saved_steps(folder)[-1]


if __name__ == "__main__":
    main()
