"""Tokens with a cache are those without, at every length, alone and side by side; drawn ones follow their chances."""

import pytest
import torch

from gristmill.trainer.generate.cache import Cache, Place
from gristmill.trainer.generate.generation import Generation
from gristmill.trainer.generate.sampling import Sampling, choose_tokens
from gristmill.trainer.layouts.layout import LAYOUTS
from gristmill.trainer.layouts.model_files import Ids, write_model
from gristmill.trainer.layouts.parity import logits_of
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.shape import Shape
from tests.trainer.test_layouts import DEEPSEEK, SMALL, SOFTMAX, model_of

PROMPTS = [[3, 1, 4, 1, 5, 9, 2, 6], [7], [2, 7, 1, 8], [*range(20, 33)]]
NEW = 14
SHAPES = [
    {},
    {"heads": 4, "kv_heads": 2, "window": 4},
    {"window": 1, "dense_layers": 1},
    {**SOFTMAX, "shared_span": 2, "top_k": 1},
    {"mass": 0.4, "window": 9},
    {"kv_rank": 6, "q_rank": 5, "rope_width": 4},
    {"kv_rank": 6, "window": 4, "layers": 4, "shared_span": 2},
    {"window": 4, "memory_block": 3},
    {"kv_rank": 6, "window": 2, "memory_block": 5},
    {"heads": 4, "kv_heads": 2, "window": 18, "memory_block": 10},
]
GREEDY = Sampling()


def naive(model: Model, prompt: list[int], new: int) -> list[int]:
    """The likeliest token each time, by a pass over all tokens so far."""
    tokens = list(prompt)
    for _ in range(new):
        tokens.append(int(logits_of(model, torch.tensor([tokens]).numpy())[-1].argmax()))
    return tokens[len(prompt) :]


def grown(model: Model, prompts: list[list[int]], sampling: Sampling = GREEDY, new=(NEW,) * 9) -> list[list[int]]:
    """As many tokens of each prompt as ``new`` says."""
    generation = Generation(model, prompts, max(map(len, prompts)) + max(new), sampling)
    found: list[list[int]] = [[] for _ in prompts]
    while generation.running:
        for number, token in generation.step():
            found[number].append(token)
            if len(found[number]) == new[number]:
                generation.end(number)
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_greedy_with_a_cache_is_greedy_without(shape):
    model = model_of("dots1", **shape)
    wanted = [naive(model, prompt, NEW) for prompt in PROMPTS]
    assert grown(model, PROMPTS) == wanted
    assert [grown(model, [prompt])[0] for prompt in PROMPTS] == wanted
    lengths = (1, 5, NEW, 2)
    assert grown(model, PROMPTS, new=lengths) == [one[:n] for one, n in zip(wanted, lengths, strict=True)]
    assert len({tuple(one) for one in wanted}) > 1


def test_a_cache_that_forgets_a_token_or_remembers_one_too_many_is_seen(monkeypatch):
    model = model_of("dots1", window=4)
    wanted, slots = [naive(model, prompt, NEW) for prompt in PROMPTS], Cache.__init__
    for other in (3, 5):

        def wrong(cache, shape, *rest, other=other):
            slots(cache, shape.model_copy(update={"window": other}), *rest)

        monkeypatch.setattr(Cache, "__init__", wrong)
        assert grown(model, PROMPTS) != wanted


def test_the_ring_has_as_many_slots_as_the_window():
    assert [Cache(Shape(window=window), 2, 100, torch.device("cpu")).ring.room for window in (0, 8, 200)] == [
        100,
        8,
        100,
    ]
    cache = Cache(Shape(**SMALL, window=2), 1, 9, torch.device("cpu"))
    k = torch.arange(5.0)[:, None, None].expand(5, 2, 8)
    first = cache.point(Place(torch.zeros(5, dtype=torch.long), torch.arange(5), first=True))[0]
    assert first.attend(k, k, k) is None
    assert first._keys[0, :, 0, 0].tolist() == [4, 3]


def test_greedy_text_is_that_of_transformers(tmp_path):
    import transformers

    for number, (layout, shape) in enumerate((("dots1", {"window": 6}), ("qwen3moe", SOFTMAX), DEEPSEEK)):
        model, folder = model_of(layout, **shape), tmp_path / str(number)
        folder.mkdir()
        write_model(folder, LAYOUTS[layout], model, 64, Ids(None, None, None))
        theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
        found = theirs.generate(torch.tensor(PROMPTS[:1]), max_new_tokens=NEW, do_sample=False, pad_token_id=0)
        assert found[0].tolist() == PROMPTS[0] + grown(model, PROMPTS[:1])[0]


def test_a_seed_gives_the_same_tokens_alone_and_beside_others():
    model, warm = model_of("dots1"), Sampling(1.5, 0.9, seed=4)
    both = grown(model, PROMPTS, warm)
    assert both == grown(model, PROMPTS, warm)
    assert both[0] == grown(model, PROMPTS[:1], warm)[0]
    assert both != grown(model, PROMPTS, Sampling(1.5, 0.9, seed=5))
    assert grown(model, PROMPTS, Sampling(1.5, top_p=0.0)) == grown(model, PROMPTS)


def test_tokens_are_drawn_by_their_chances():
    chances, n = torch.tensor([0.1, 0.6, 0.3]), 4000
    for top_p, temperature, wanted in (
        (1.0, 1.0, chances),
        (0.7, 1.0, torch.tensor([0.0, 2 / 3, 1 / 3])),
        (0.6, 1.0, torch.tensor([0.0, 1.0, 0.0])),
        (1.0, 0.5, chances**2 / (chances**2).sum()),
    ):
        generator = torch.Generator().manual_seed(1)
        chosen = choose_tokens(chances.log().expand(n, 3), Sampling(temperature, top_p), [generator] * n)
        found = torch.bincount(chosen, minlength=3) / n
        assert (found - wanted).abs().max() < 4 * (0.25 / n) ** 0.5
        assert not found[wanted == 0].any()
