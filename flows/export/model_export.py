"""The targets of the trained model: a folder that transformers opens, with tokenizer, model card and a comparison."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.corpus.errors import StoreError, TrainError
from gristmill.corpus.extras import need
from gristmill.corpus.files import file_sha256, fsync_path, read_json, write_text
from gristmill.flows.export.target import Exported, ExportedFile, ExportOptions
from gristmill.flows.inspect.trained_run import expect_trained
from gristmill.flows.pipeline.context import RunContext
from gristmill.tokenizer.tokenizer_json import SETTINGS, TOKENIZER, SpecialTokens, read_config, token_ids

if TYPE_CHECKING:
    from gristmill.trainer.layouts.model_files import Ids
    from gristmill.trainer.layouts.parity import Parity

CARD_FILE, README = "card.json", "README.md"


def export_dots1(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
    """Dots1ForCausalLM: sigmoid scores with a bias, groups, shared experts."""
    return export_model(context, folder, options, "dots1")


def export_qwen3moe(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
    """Qwen3MoeForCausalLM: softmax scores."""
    return export_model(context, folder, options, "qwen3moe")


def export_deepseekv3(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
    """DeepseekV3ForCausalLM: keys and values of a latent, sigmoid scores with a bias, groups, shared experts."""
    return export_model(context, folder, options, "deepseekv3")


def export_model(context: RunContext, folder: Path, options: ExportOptions, name: str) -> Exported:
    """Write the model of a finished training in the layout of this name.

    Raises
    ------
    StoreError : an option that a model cannot have; the run has no card
    TrainError : no training, a shape that the layout cannot hold, or a written model that is not the trained one
    """
    config = expect_trained(context)
    _check(context, options)
    from gristmill.trainer.generate.trained import load_trained
    from gristmill.trainer.layouts.layout import LAYOUTS
    from gristmill.trainer.layouts.model_files import expect_layout, write_model
    from gristmill.trainer.layouts.parity import compare

    layout, trained = LAYOUTS[name], load_trained(context.run.path / "train", config)
    expect_layout(layout, trained.model)
    ids = special_ids(context.run.path / "tokenizer")
    files = write_model(folder, layout, trained.model, config.row_tokens, ids)
    files += _copies(context, folder)
    parity = compare(folder, trained.model, config.row_tokens)
    if problems := parity.problems():
        raise TrainError(f"--to {name}: transformers {parity.transformers} has another model: {'; '.join(problems)}")
    files.append(_write_card(context, folder, layout.architecture, comparison_text(parity)))
    more = {"step": trained.step, "architecture": layout.architecture, "parity": asdict(parity)}
    return Exported(tuple(_stated(path, folder) for path in files), {}, 0, {}, more)


def _check(context: RunContext, options: ExportOptions) -> None:
    for option, given in (("--by", options.by), ("--with", options.columns), ("--order", options.order)):
        if given:
            raise StoreError(f"{option}: a model has no documents and no rows; leave it out")
    if not context.run.has("card"):
        raise StoreError(f"{context.run.path} has no card to make a model card of; `gristmill card RUN` writes it")
    need("card")


def special_ids(folder: Path) -> "Ids":
    """Ids of the special tokens of the tokenizer in ``folder``."""
    from gristmill.trainer.layouts.model_files import Ids

    config, special = read_config(folder / TOKENIZER), SpecialTokens.beside(folder / TOKENIZER)
    return Ids(*(token_ids(config)[name] if name else None for name in (special.begin, special.end, special.pad)))


def _copies(context: RunContext, folder: Path) -> list[Path]:
    """The tokenizer, and the card that the model's is made of."""
    found = []
    for source in (*(context.run.path / "tokenizer" / name for name in (TOKENIZER, SETTINGS)), _card_of(context)):
        if source.exists():  # version 0.1.0 wrote no settings
            shutil.copyfile(source, folder / source.name)
            fsync_path(folder / source.name)
            found.append(folder / source.name)
    return found


def _card_of(context: RunContext) -> Path:
    return context.run.path / "card" / CARD_FILE


def _write_card(context: RunContext, folder: Path, architecture: str, comparison: str) -> Path:
    from gristmill.data_cards.card import Card
    from gristmill.data_cards.model_card import model_card

    card = Card.from_json(read_json(_card_of(context)))
    write_text(folder / README, model_card(card, architecture, comparison))
    return folder / README


def comparison_text(parity: "Parity") -> str:
    """What is known of the written model, in a sentence."""
    if not parity.compared:
        return "transformers was not installed where this was written: it was not compared with the trained model."
    return (
        f"Opened by transformers {parity.transformers} and compared with the trained model: no weight missing, none "
        f"unexpected, logits of {parity.tokens:,} tokens within {parity.largest_difference:.1e} (float32)."
    )


def _stated(path: Path, folder: Path) -> ExportedFile:
    return ExportedFile(path.relative_to(folder).as_posix(), 0, path.stat().st_size, file_sha256(path))
