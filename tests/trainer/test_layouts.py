"""Models written for transformers: opened again they are the trained ones, and what a class cannot hold is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from gristmill.corpus.errors import TrainError
from gristmill.trainer.layouts import parity
from gristmill.trainer.layouts.layout import LAYOUTS
from gristmill.trainer.layouts.model_files import CONFIG, WEIGHTS, Ids, expect_layout, write_model
from gristmill.trainer.layouts.parity import Parity, compare
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.shape import Shape

VOCAB, ROW = 64, 32
SMALL = {"layers": 2, "width": 16, "heads": 2, "experts": 4, "expert_width": 8}
SOFTMAX = {"score": "softmax", "shared_experts": 0}
LATENT = {"kv_rank": 6, "q_rank": 5, "rope_width": 4}
DEEPSEEK = (
    "deepseekv3",
    {**LATENT, "experts": 8, "groups": 4, "kept_groups": 2, "dense_layers": 1, "route_scale": 1.5},
)
HELD = [
    ("dots1", {}),
    ("dots1", {"heads": 4, "kv_heads": 2, "window": 8, "dense_layers": 1, "route_scale": 1.5, "shared_experts": 2}),
    ("dots1", {"experts": 8, "groups": 4, "kept_groups": 2, "dropout": 0.1, "expert_dropout": 0.1, "ahead": 2}),
    DEEPSEEK,
    ("deepseekv3", {"kv_rank": 8, "heads": 1, "layers": 3, "shared_experts": 2, "dense_layers": 2, "dense_width": 24}),
    ("qwen3moe", SOFTMAX),
    ("qwen3moe", {**SOFTMAX, "window": 5, "dense_layers": 1, "kv_heads": 1}),
    ("qwen3moe", {**SOFTMAX, "top_k": 1}),
]
REFUSED = [
    ("dots1", {"shared_span": 2}, "shared_span is 2"),
    ("dots1", {"shared_bottom": 2}, "shared_bottom is 2"),
    ("dots1", {"mass": 0.5}, "mass is 0.5"),
    ("dots1", {"forced_balance": True}, "forced_balance is True"),
    ("dots1", {"score": "softmax"}, "score is softmax"),
    ("dots1", {"shared_experts": 0}, "shared_experts is 0"),
    ("dots1", {"top_k": 1}, "top_k is 1"),
    ("dots1", {"groups": 4, "kept_groups": 2}, "groups is 4"),
    ("dots1", {"window": 8, "memory_block": 4}, "memory_block is 4"),
    ("dots1", LATENT, "kv_rank is 6"),
    ("dots1", LATENT, "q_rank is 5"),
    ("qwen3moe", {**SOFTMAX, **LATENT}, "rope_width is 4"),
    ("deepseekv3", {}, "kv_rank is 0"),
    ("deepseekv3", {**LATENT, "window": 4}, "window is 4"),
    ("deepseekv3", {**LATENT, **SOFTMAX}, "score is softmax"),
    ("deepseekv3", {**LATENT, "top_k": 1}, "top_k is 1"),
    ("deepseekv3", {**LATENT, "mass": 0.5}, "mass is 0.5"),
    ("deepseekv3", {**LATENT, "shared_span": 2}, "shared_span is 2"),
    ("qwen3moe", {}, "score is sigmoid"),
    ("qwen3moe", {}, "shared_experts is 1"),
    ("qwen3moe", {**SOFTMAX, "groups": 2, "kept_groups": 1}, "kept_groups is 1"),
    ("qwen3moe", {**SOFTMAX, "route_scale": 2.0}, "route_scale is 2.0"),
]


def model_of(layout: str, **shape) -> Model:
    """Weights that no symmetry hides: norms away from 1, and a bias that changes choices."""
    torch.manual_seed(1)
    model = Model(Shape(**SMALL | shape), VOCAB).eval().requires_grad_(requires_grad=False)
    for parameter in model.parameters():
        parameter.mul_(0.5 + torch.rand_like(parameter)).mul_(1.5)
    for router in model.routers if LAYOUTS[layout].biased else ():
        router.bias.copy_(0.3 * torch.randn_like(router.bias))
    return model


@pytest.mark.parametrize(("name", "shape"), HELD)
def test_transformers_opens_the_trained_model(tmp_path, name, shape):
    model = model_of(name, **shape)
    expect_layout(LAYOUTS[name], model)
    write_model(tmp_path, LAYOUTS[name], model, ROW, Ids(None, 0, 1))
    found = compare(tmp_path, model, ROW)
    assert (found.compared, found.missing, found.unexpected, found.tokens) == (True, (), (), parity.ROWS * ROW)
    assert found.largest_difference < 1e-5
    assert found.largest_logit > 0.5
    assert not found.problems()


@pytest.mark.parametrize(("name", "shape", "text"), REFUSED)
def test_a_shape_that_a_class_cannot_hold_is_refused_by_its_key(name, shape, text):
    with pytest.raises(TrainError, match=f"--to {name}: trainer.model.{text}, and {name} can hold"):
        expect_layout(LAYOUTS[name], Model(Shape(**SMALL | shape), VOCAB))


def test_a_bias_that_a_class_lacks_is_refused():
    model = Model(Shape(**SMALL | SOFTMAX), VOCAB)
    expect_layout(LAYOUTS["qwen3moe"], model)
    model.routers[1].bias[0] = 0.1
    with pytest.raises(TrainError, match=r"trainer\.balance\.bias has moved"):
        expect_layout(LAYOUTS["qwen3moe"], model)


def test_a_key_that_the_model_gets_later_is_refused_until_a_layout_names_it():
    class Later(Shape):
        memory: int = 0

    assert not list(LAYOUTS["dots1"].mistakes(Later(**SMALL)))
    assert [one.keys for one in LAYOUTS["dots1"].mistakes(Later(**SMALL, memory=4))] == [("memory",)]


def swap_gate_and_up(config, weights):
    for name in [name for name in weights if "gate_proj" in name]:
        up = name.replace("gate_proj", "up_proj")
        weights[name], weights[up] = weights[up].clone(), weights[name].clone()


def drop_bias(config, weights):
    for name in [name for name in weights if "bias" in name]:
        del weights[name]


def zero_bias(config, weights):
    for name in [name for name in weights if "bias" in name]:
        weights[name].zero_()


def forget_renormalisation(config, weights):
    config["norm_topk_prob"] = False


def tie_embeddings(config, weights):
    weights["model.embed_tokens.weight"] = weights["lm_head.weight"].clone()


def widen_window(config, weights):
    config["sliding_window"] += 1


def turn_other_pairs(config, weights):
    config["rope_interleave"] = False


def forget_groups(config, weights):
    config["n_group"] = config["topk_group"] = 1


def forget_scale(config, weights):
    config["routed_scaling_factor"] = 1.0


def swap_keys_and_values(config, weights):
    for name in [name for name in weights if "kv_b_proj" in name]:
        keys, values = weights[name].unflatten(0, (-1, 2, config["v_head_dim"])).unbind(1)
        weights[name] = torch.stack((values, keys), 1).flatten(0, 2)


def forget_norm_of_latents(config, weights):
    for name in [name for name in weights if "kv_a_layernorm" in name]:
        weights[name].fill_(1.0)


def drop_latent_of_queries(config, weights):
    config["q_lora_rank"] = None


FAULTS = (swap_gate_and_up, drop_bias, zero_bias, forget_renormalisation, tie_embeddings)
OF_LATENT = (turn_other_pairs, forget_groups, forget_scale, swap_keys_and_values, forget_norm_of_latents)
OF_LATENT = (*FAULTS, *OF_LATENT, drop_latent_of_queries)
DOTS1 = ("dots1", {"window": 8})
PLANTED = [*((DOTS1, one) for one in (*FAULTS, widen_window)), *((DEEPSEEK, one) for one in OF_LATENT)]


@pytest.mark.parametrize(("written", "fault"), PLANTED)
def test_a_planted_fault_is_seen(tmp_path, written, fault):
    name, shape = written
    model = model_of(name, **shape)
    write_model(tmp_path, LAYOUTS[name], model, ROW, Ids(None, 0, 1))
    assert not compare(tmp_path, model, ROW).problems()
    config, weights = json.loads((tmp_path / CONFIG).read_text()), load_file(tmp_path / WEIGHTS)
    fault(config, weights)
    (tmp_path / CONFIG).write_text(json.dumps(config))
    save_file(weights, tmp_path / WEIGHTS, {"format": "pt"})
    assert compare(tmp_path, model, ROW).problems()


def test_a_comparison_that_is_no_number_is_a_problem():
    assert Parity(compared=True, largest_difference=float("nan")).problems()
    assert not Parity().problems()


def test_without_transformers_nothing_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "find_spec", lambda _: None)
    assert not compare(tmp_path, model_of("dots1"), ROW).compared


def test_a_folder_that_transformers_cannot_open_is_one_error(tmp_path):
    with pytest.raises(TrainError, match="cannot open"):
        compare(tmp_path, model_of("dots1"), ROW)
