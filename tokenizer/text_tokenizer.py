"""The tokenizers library's own reading of a tokenizer.json, in which a document's text can spell no special token.

``encode_special_tokens`` of the library is not enough: a Unigram, WordPiece or WordLevel vocabulary lists its special
tokens among the words, and the model finds them there. Here each has a name that no text holds, under its old id.
"""

import json
from functools import cached_property
from pathlib import Path

import xxhash
from tokenizers import Tokenizer

from gristmill.corpus.errors import SourceError
from gristmill.tokenizer.tokenizer_json import Config, SpecialTokens, marked, read_config, token_ids

OPEN, CLOSE = "\ufdd0", "\ufdd1"  # noncharacters: no text holds them but by mistake or on purpose


class TextTokenizer:
    """Texts to ids and back, without truncation, padding or tokens that the file adds to each text.

    Raises
    ------
    SourceError : the file is missing, is no tokenizer.json, or lacks an end, pad or other token that is named beside it
    """

    def __init__(self, path: Path):
        self.config = read_config(path)
        self.special = SpecialTokens.beside(path)
        self.end_id, self.pad_id = self.special.end_id(self.config), self.special.pad_id(self.config)
        self.control = marked(self.config, self.special.named)
        self._path = path
        self.names = names_beyond_text(self.control, self.config)
        self.for_text = renamed(self.config, self.names)
        self.tokenizer = _load(self.for_text, path)
        self.tokenizer.encode_special_tokens = True  # the name is the library's: True means "encode them as text"
        self.vocab_size = max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        for name, number in self.control.items():
            if self.tokenizer.token_to_id(self.names[name]) != number:
                raise SourceError(f"{path}: the tokenizers library gives {name!r} another id than {number}")

    @cached_property
    def original(self) -> Tokenizer:
        """The file as it is, for what tokens spell; encoding never needs it, and to build it takes as long again."""
        return _load(self.config, self._path)

    def decode(self, ids: list[int]) -> str:
        """The text of ids, special tokens by their own names."""
        return self.original.decode(ids, skip_special_tokens=False)


def names_beyond_text(control: dict[str, int], config: Config) -> dict[str, str]:
    """For each special token a name that a text cannot spell unless its writer has read this very vocabulary."""
    seal = xxhash.xxh3_64_hexdigest(json.dumps(config, sort_keys=True).encode())
    return {name: f"{OPEN}{seal}{number}{CLOSE}" for name, number in control.items()}


def renamed(config: Config, names: dict[str, str]) -> Config:
    """``config`` with other names of special tokens, and without what would change the texts of documents.

    A merge that spells a special token is left out: its text keeps the tokens of its two halves.
    """
    model = dict(config["model"])
    vocab = model["vocab"]
    if isinstance(vocab, dict):
        model["vocab"] = {names.get(text, text): number for text, number in vocab.items()}
    else:
        model["vocab"] = [[names.get(text, text), score] for text, score in vocab]
    if model.get("unk_token"):
        model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    if "merges" in model:
        pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
        model["merges"] = [pair for pair in pairs if names.keys().isdisjoint(("".join(pair), *pair))]
    ids = token_ids({**config, "model": model, "added_tokens": []})
    added = [_renamed_token(token, names) for token in config.get("added_tokens") or ()]
    known = {token["content"] for token in added}
    added += [_special_token(name, ids[name]) for name in names.values() if name not in known]
    added.sort(key=lambda token: token["id"])
    plain: Config = dict.fromkeys(("truncation", "padding", "post_processor"))
    return config | plain | {"added_tokens": added, "model": model}


def _special_token(name: str, number: int) -> Config:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": name, **flags, "special": True}


def _renamed_token(token: dict, names: dict[str, str]) -> dict:
    if token["content"] not in names:
        return token
    return {**token, "content": names[token["content"]], "special": True, "normalized": False}


def _load(config: Config, path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(json.dumps(config))
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception
        raise SourceError(f"{path} is no tokenizer.json that the tokenizers library reads: {error}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_reference(path: Path) -> Tokenizer:
    """The library's tokenizer of ``TextTokenizer``, for texts without special tokens."""
    return TextTokenizer(path).tokenizer
