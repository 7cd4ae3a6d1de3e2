"""``gristmill generate``: texts that the model of a run goes on with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import TrainError
from gristmill.flows.inspect.text_stream import TextStream
from gristmill.flows.inspect.trained_run import expect_trained
from gristmill.flows.pipeline.open_context import read_run

OnText = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """How a text is gone on with.

    Parameters
    ----------
    max_tokens : new tokens at most
    temperature, top_p, seed : see ``gristmill.trainer.generate.sampling.Sampling``
    stop : texts that end it, and do not belong to it
    """

    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0


@dataclass(slots=True)
class _Text:
    """A text that grows."""

    prompt: str
    ids: list[int]
    stream: TextStream
    room: int  # new tokens that it may have
    tokens: int = 0
    ended: str = ""  # end: by the model's own token; stop; length; context: rows of the training were no longer


def generate_texts(
    run: Path, prompts: Sequence[str], options: GenerateOptions | None = None, on_text: OnText | None = None
) -> dict[str, Any]:
    """Go on with each prompt, all of them side by side; a prompt gets the same text alone and beside others.

    Parameters
    ----------
    on_text : called with the number of a prompt and the piece of text that has become certain

    Returns
    -------
    The step of the model; of each prompt: prompt, text, tokens, and what it ``ended`` by: end, stop, length, context

    Raises
    ------
    TrainError : the run has no finished training; a prompt is empty, or longer than a row of the training
    """
    options, context = options or GenerateOptions(), read_run(run)
    config = expect_trained(context)
    from gristmill.tokenizer.text_tokenizer import TextTokenizer
    from gristmill.trainer.generate.generation import Generation
    from gristmill.trainer.generate.sampling import Sampling
    from gristmill.trainer.generate.trained import load_trained

    tokenizer = TextTokenizer(context.run.path / "tokenizer" / "tokenizer.json")
    limit = None if config.used_window else config.row_tokens  # a window sees nothing that is further away
    texts = [_begin(prompt, tokenizer, options, limit) for prompt in prompts]
    trained = load_trained(context.run.path / "train", config)
    longest = max(len(one.ids) + one.room for one in texts)
    sampling = Sampling(options.temperature, options.top_p, options.seed)
    generation = Generation(trained.model, [one.ids for one in texts], longest, sampling)
    while generation.running:
        for number, token in generation.step():
            piece = _push(texts[number], token, tokenizer.end_id, options)
            if piece and on_text:
                on_text(number, piece)
            if texts[number].ended:
                generation.end(number)
    return {"step": trained.step, "texts": [_answer(one) for one in texts]}


def _begin(prompt: str, tokenizer: Any, options: GenerateOptions, limit: int | None) -> _Text:
    ids = tokenizer.tokenizer.encode(prompt, add_special_tokens=False).ids
    if not ids:
        raise TrainError("--prompt is empty: the model has never seen what stands before the first token of a document")
    room = options.max_tokens if limit is None else min(options.max_tokens, limit - len(ids))
    if room <= 0:
        raise TrainError(
            f"--prompt has {len(ids)} tokens, and the rows of the training have {limit} (shards.row_tokens); "
            "give a shorter one, or train with trainer.model.window"
        )
    return _Text(prompt, ids, TextStream(tokenizer.decode, ids, options.stop), room)


def _push(text: _Text, token: int, end_id: int | None, options: GenerateOptions) -> str:
    """Add a token; the piece of text that has become certain. Sets ``ended`` where it was the last one."""
    text.tokens += 1
    if token == end_id:
        text.ended = "end"
        return text.stream.close()
    piece = text.stream.push(token)
    if text.stream.stopped:
        text.ended = "stop"
    elif text.tokens == text.room:
        text.ended = "length" if text.room == options.max_tokens else "context"
        piece += text.stream.close()
    return piece


def _answer(text: _Text) -> dict[str, Any]:
    return {"prompt": text.prompt, "text": text.stream.text, "tokens": text.tokens, "ended": text.ended}
