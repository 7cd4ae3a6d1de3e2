"""What transformers opens: config.json, generation_config.json and model.safetensors, by a layout."""

from pathlib import Path
from typing import Any, NamedTuple

from gristmill.corpus.errors import TrainError
from gristmill.corpus.files import write_json
from gristmill.trainer.layouts.layout import Layout
from gristmill.trainer.layouts.named_weights import named_weights
from gristmill.trainer.model.attention import ROPE_BASE
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.fused import EPSILON
from gristmill.trainer.weight_files import write_weights

WEIGHTS, CONFIG, GENERATION = "model.safetensors", "config.json", "generation_config.json"


class Ids(NamedTuple):
    """Special tokens of the tokenizer, None where it has none."""

    begin: int | None
    end: int | None
    pad: int | None

    @property
    def named(self) -> dict[str, int]:
        """By the keys of transformers."""
        found = {"bos_token_id": self.begin, "eos_token_id": self.end, "pad_token_id": self.pad}
        return {name: number for name, number in found.items() if number is not None}


def expect_layout(layout: Layout, model: Model) -> None:
    """Refuse a model that the layout cannot hold.

    Raises
    ------
    TrainError : names each key of the recipe, in lines of their own
    """
    found = [f"--to {layout.name}: trainer.model.{mistake.text}" for mistake in layout.mistakes(model.shape)]
    if not layout.biased and any(router.bias.any() for router in model.routers):
        found.append(
            f"--to {layout.name}: trainer.balance.bias has moved the choice of experts, and {layout.name} has no bias; "
            "train with a loss, such as [trainer.balance] switch = 0.01"
        )
    if found:
        raise TrainError("\n".join(found))


def write_model(folder: Path, layout: Layout, model: Model, row_tokens: int, ids: Ids) -> list[Path]:
    """Write the files of a model that ``expect_layout`` let through, durably; the same model gives the same bytes."""
    write_json(folder / CONFIG, config_of(layout, model, row_tokens) | ids.named)
    write_json(folder / GENERATION, {"do_sample": False, **ids.named})
    weights = {
        name: tensor.detach().float().cpu().clone().contiguous() for name, tensor in named_weights(layout, model)
    }
    write_weights(folder / WEIGHTS, weights, {"format": "pt"})
    return [folder / name for name in (CONFIG, GENERATION, WEIGHTS)]


def config_of(layout: Layout, model: Model, row_tokens: int) -> dict[str, Any]:
    """The content of config.json, without special tokens."""
    shape = model.shape
    return {
        "architectures": [layout.architecture],
        "model_type": layout.model_type,
        "dtype": "float32",
        "vocab_size": len(model.embedding),
        "hidden_size": shape.width,
        "intermediate_size": shape.dense_hidden,
        "moe_intermediate_size": shape.expert_width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv,
        "head_dim": shape.head_width,
        "num_experts_per_tok": shape.top_k,
        "hidden_act": "silu",
        "rms_norm_eps": EPSILON,
        "attention_bias": False,
        "max_position_embeddings": row_tokens,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_BASE},
        "rope_theta": ROPE_BASE,  # read by transformers 4
        "tie_word_embeddings": False,  # the embedding is normalised on its way in, the output matrix is not
        **layout.settings(shape),
    }
